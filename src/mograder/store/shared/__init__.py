"""Code that both adapters share."""
