// Files that are dropped on a form's place are chosen in its field. The chosen files are listed.
for (const place of document.querySelectorAll("[data-drop]")) {
  const input = place.querySelector("input[type=file]");
  const list = place.querySelector(".chosen");
  place.querySelector(".drop-hint").hidden = false;

  const show = () => { list.textContent = [...input.files].map((file) => file.name).join(", "); };

  place.addEventListener("dragover", (event) => {
    if (event.dataTransfer.types.includes("Files")) {
      event.preventDefault();
      place.classList.add("over");
    }
  });
  place.addEventListener("dragleave", () => place.classList.remove("over"));
  place.addEventListener("drop", (event) => {
    event.preventDefault();
    place.classList.remove("over");
    input.files = event.dataTransfer.files;
    show();
  });
  input.addEventListener("change", show);
}
