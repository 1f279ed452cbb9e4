// Submitting: checks before sending, dropping a file on the form, and progress. Without it the form works as it is.
const form = document.getElementById("submission");
if (form) {
  const field = form.elements.file, checks = form.querySelector(".checks"), bar = form.querySelector("progress");
  const button = form.querySelector("button");
  const { limit, accepts, handedOut, lateAfter } = form.dataset;

  // What is wrong with a file, and whether it cannot be sent at all.
  const look = async (file) => {
    const endings = accepts.split(" "), found = [];
    if (!endings.some((ending) => file.name.toLowerCase().endsWith(ending))) found.push([`This is not a ${endings.join(" or ")} file.`, true]);
    if (file.size === 0) found.push(["The file is empty.", true]);
    if (file.size > Number(limit)) found.push([`The file has ${file.size} bytes; at most ${limit} are taken.`, true]);
    if (found.length) return found;
    let bytes;
    try { // a file that was saved, moved or removed after it was chosen cannot be read any more
      bytes = await (handedOut && crypto.subtle ? file : file.slice(0, 1)).arrayBuffer();
    } catch {
      return [[`The browser cannot read ${file.name}: it was changed or moved after you chose it. Choose it again.`, true]];
    }
    if (handedOut && crypto.subtle) { // not over plain http; the page says it afterwards
      const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
      const hex = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
      if (handedOut.split(" ").includes(hex)) found.push(["The file is unchanged from what was handed out.", false]);
    }
    if (lateAfter && Date.now() + ahead > (Number(lateAfter) + 1e6) / 1000) found.push(["It is past the due time: this submission will be late.", false]);
    return found;
  };

  const say = (found) => checks.replaceChildren(...found.map(([text, bad]) => {
    const line = document.createElement("p");
    line.textContent = text;
    line.className = bad ? "bad" : "warning";
    return line;
  }));

  const check = async () => {
    const file = field.files[0];
    const found = file ? await look(file) : [];
    if (file === field.files[0]) say(found);
    return found.every(([, bad]) => !bad);
  };

  const send = () => new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.upload.onprogress = (event) => { if (event.lengthComputable) bar.value = event.loaded / event.total; };
    request.onload = () => resolve(request);
    request.onerror = request.onabort = () => resolve(null);
    request.send(new FormData(form));
  });

  const submit = async () => {
    button.disabled = true;
    bar.hidden = false;
    const answer = await send();
    bar.hidden = true;
    button.disabled = false;
    if (answer && answer.status < 400) return location.assign(answer.responseURL);
    const page = answer && new DOMParser().parseFromString(answer.responseText, "text/html");
    const told = page?.querySelector("[role=alert]")?.textContent;
    if (told) say([[told, true]]);
    else if (answer) say([[`The server answered with the error ${answer.status}. Nothing was kept: submit again in a minute.`, true]]);
    else if (await check()) say([["The connection broke. Submit again: nothing is counted twice.", true]]);
    const login = page?.querySelector("a[href*='/login?']");
    if (login) checks.append(Object.assign(document.createElement("a"), { href: login.href, target: "_blank", textContent: "Log in (in a new tab)" }));
    button.focus();
  };

  field.addEventListener("change", check);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    form.querySelector("[role=alert]")?.remove();
    if (await check()) await submit(); else field.focus();
  });

  form.querySelector(".drop-hint").hidden = false;
  for (const kind of ["dragenter", "dragover"]) form.addEventListener(kind, (event) => { event.preventDefault(); form.classList.add("over"); });
  for (const kind of ["dragleave", "drop"]) form.addEventListener(kind, () => form.classList.remove("over"));
  form.addEventListener("drop", (event) => {
    event.preventDefault();
    const dropped = event.dataTransfer.files;
    if (dropped.length === 1) { field.files = dropped; field.dispatchEvent(new Event("change")); return; }
    say([[dropped.length ? `You dropped ${dropped.length} files, and one is taken: drop the one, or put them all into a zip.` : "What you dropped is not a file.", true]]);
  });
}
