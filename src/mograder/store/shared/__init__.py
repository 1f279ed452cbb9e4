"""What both adapters need."""
