// Submitting: checks before sending, dropping files or a folder on the form, and progress. Without it the form works as it is.
const form = document.getElementById("submission");
if (form) {
  const field = form.elements.file, checks = form.querySelector(".checks"), bar = form.querySelector("progress");
  const button = form.querySelector("button:not([type])"), sure = form.querySelector(".sure"), box = form.elements.sure;
  const { limit, accepts, handedOut, lateAfter, several } = form.dataset;
  const expects = JSON.parse(form.dataset.expects), takesSeveral = field.multiple;
  const asked = !sure.hidden; // the page has a question of its own

  // What is submitted: {file, name}, with the path below a dropped folder in the name.
  let chosen = [], isDropped = false;
  const fromField = () => [...field.files].map((file) => ({ file, name: file.webkitRelativePath || file.name }));

  // What is to be asked before these files are sent.
  const questions = async () => {
    let names = chosen.map(({ name }) => name.normalize("NFC"));
    const alone = names.length === 1 ? names[0] : "", zip = alone.toLowerCase().endsWith(".zip"), found = [];
    if (several && alone && !zip) found.push(`${alone} alone takes the place of the several files of your last submission, ${several}.`);
    if (zip) names = await namesInZip(chosen[0].file).catch(() => null);
    if (zip && !names) return [`The list of files in ${alone} cannot be read: is it a zip?`];
    if (expects.length && (zip || names.length)) {
      const missing = expects.filter((name) => !names.includes(name)), extra = names.filter((name) => !expects.includes(name));
      if (missing.length) found.push(`Missing: ${missing.join(", ")}`);
      if (extra.length) found.push(`Not asked for: ${extra.join(", ")}`);
    }
    return found;
  };

  // What is wrong with a file, and whether it cannot be sent at all.
  const look = async ({ file, name }) => {
    const endings = accepts.split(" "), found = [];
    if (chosen.length === 1 && !endings.some((ending) => name.toLowerCase().endsWith(ending))) found.push([`This is not a ${endings.join(" or ")} file.`, true]);
    if (file.size === 0) found.push([chosen.length === 1 ? "The file is empty." : `${name} is empty.`, true]);
    if (file.size > Number(limit)) found.push([`${chosen.length === 1 ? "The file" : name} has ${file.size} bytes; at most ${limit} are taken.`, true]);
    if (found.length) return found;
    let bytes;
    try { // a file that was saved, moved or removed after it was chosen cannot be read any more
      bytes = await (handedOut && crypto.subtle ? file : file.slice(0, 1)).arrayBuffer();
    } catch {
      return [[`The browser cannot read ${name}: it was changed or moved after you chose it. Choose it again.`, true]];
    }
    if (handedOut && crypto.subtle) { // not over plain http; the page says it afterwards
      const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
      const hex = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
      if (handedOut.split(" ").includes(hex)) found.push([chosen.length === 1 ? "The file is unchanged from what was handed out." : `${name} is unchanged from what was handed out.`, false]);
    }
    return found;
  };

  const say = (found) => checks.replaceChildren(...found.map(([text, bad]) => {
    const line = document.createElement("p");
    line.textContent = text;
    line.className = bad ? "bad" : "warning";
    return line;
  }));

  const check = async () => {
    const files = chosen, found = [];
    for (const each of files) found.push(...await look(each));
    if (files !== chosen) return false;
    const total = files.reduce((sum, { file }) => sum + file.size, 0);
    if (files.length > 1) {
      if (total > Number(limit)) found.push([`The files have ${total} bytes together; at most ${limit} are taken.`, true]);
      found.unshift([`${files.length} files: ${files.map(({ name }) => name).join(", ")}`, false]);
    }
    if (files.length && lateAfter && Date.now() + ahead > (Number(lateAfter) + 1e6) / 1000) found.push(["It is past the due time: this submission will be late.", false]);
    const open = found.some(([, bad]) => bad) ? [] : await questions();
    if (files !== chosen) return false;
    say([...found, ...open.map((text) => [text, false])]);
    sure.hidden = !(asked || open.length);
    return files.length > 0 && found.every(([, bad]) => !bad);
  };

  const choose = (files, wasDropped = false) => {
    chosen = files;
    isDropped = wasDropped;
    box.checked = false;
    field.required = !files.length;
    return check();
  };

  const send = () => new Promise((resolve) => {
    const request = new XMLHttpRequest(), data = new FormData();
    if (box.checked) data.append("sure", "yes");
    for (const { file, name } of chosen) data.append("file", file, name);
    request.open("POST", form.action);
    request.upload.onprogress = (event) => { if (event.lengthComputable) bar.value = event.loaded / event.total; };
    request.onload = () => resolve(request);
    request.onerror = request.onabort = () => resolve(null);
    request.send(data);
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
    if (answer?.status === 409) { sure.hidden = false; box.focus(); return; }
    const login = page?.querySelector("a[href*='/login?']");
    if (login) checks.append(Object.assign(document.createElement("a"), { href: login.href, target: "_blank", textContent: "Log in (in a new tab)" }));
    button.focus();
  };

  // A folder's files without hidden ones, by their paths below it.
  const leftBehind = (name) => name.startsWith(".") || name === "__pycache__" || name === "__marimo__";
  const below = (files) => [...files].map((file) => ({ file, name: file.webkitRelativePath.replace(/^[^/]*\//, "") }))
    .filter(({ name }) => !name.split("/").some(leftBehind)).sort((one, other) => (one.name < other.name ? -1 : 1));

  // The files of a dropped entry; of a folder all of them, without hidden ones, by their paths below it.
  const filesOf = async (entry, path) => {
    if (leftBehind(entry.name)) return [];
    if (entry.isFile) return [{ file: await new Promise((done, failed) => entry.file(done, failed)), name: path + entry.name }];
    const reader = entry.createReader(), found = [];
    for (;;) { // a reader gives some entries at a time
      const some = await new Promise((done, failed) => reader.readEntries(done, failed));
      if (!some.length) return found;
      for (const each of some) found.push(...await filesOf(each, path === null ? "" : `${path}${entry.name}/`));
    }
  };

  const dropped = async (transfer) => {
    const plain = [...transfer.files].map((file) => ({ file, name: file.name }));
    const entries = [...transfer.items].filter((item) => item.kind === "file").map((item) => item.webkitGetAsEntry?.());
    if (!entries.some((entry) => entry?.isDirectory)) return plain;
    const lone = entries.length === 1; // the top of the submission is what is in the folder
    return (await Promise.all(entries.map((entry) => filesOf(entry, lone ? null : "")))).flat();
  };

  field.addEventListener("change", () => choose(fromField()));
  const folder = form.querySelector("[data-folder]");
  if (folder && "webkitdirectory" in field) {
    const picker = Object.assign(document.createElement("input"), { type: "file", webkitdirectory: true });
    folder.hidden = false;
    folder.addEventListener("click", () => picker.click());
    picker.addEventListener("change", async () => {
      const files = below(picker.files);
      if (!files.length) return say([["There are no files in that folder.", true]]);
      field.value = "";
      await choose(files, true);
      folder.focus();
    });
  }
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    form.querySelector("[role=alert]")?.remove();
    if (!isDropped) chosen = fromField(); // a browser says nothing when the same file is chosen again
    if (!await check()) return field.focus();
    if (!sure.hidden && !box.checked) return box.focus();
    await submit();
  });

  form.querySelector(".drop-hint").hidden = false;
  for (const kind of ["dragenter", "dragover"]) form.addEventListener(kind, (event) => { event.preventDefault(); form.classList.add("over"); });
  for (const kind of ["dragleave", "drop"]) form.addEventListener(kind, () => form.classList.remove("over"));
  form.addEventListener("drop", async (event) => {
    event.preventDefault();
    const plain = event.dataTransfer.files, files = await dropped(event.dataTransfer);
    if (!files.length) return say([["What you dropped is not a file, or an empty folder.", true]]);
    if (files.length > 1 && !takesSeveral) return say([[`You dropped ${files.length} files; only one can be submitted.`, true]]);
    const isPlain = files.length === 1 && plain.length === 1;
    if (isPlain) field.files = plain;
    await choose(files, !isPlain);
  });
  if (field.files.length) choose(fromField()); // a browser may keep what was chosen before a reload
}
