// Shows what a button names on the whole screen, where the browser can.
for (const button of document.querySelectorAll("[data-full]")) {
  if (!document.fullscreenEnabled) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    try { await document.getElementById(button.dataset.full).requestFullscreen(); } catch { button.textContent = "This browser does not allow it here"; }
  });
}
