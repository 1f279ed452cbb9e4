// Marking: saves what is typed, shows what others have changed, and goes from person to person by keyboard. What could
// not be saved is kept in this browser until it is. Without this script every form has a button of its own.
const desk = document.querySelector(".desk"), forms = [...document.querySelectorAll("[data-save]")];
const unsaved = document.getElementById("unsaved"), total = document.getElementById("total");
const timeOfDay = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit" });
const PAUSE = 500, RETRY = 2000, MEET = 10000;

// What a form holds, apart from its version.
const values = (form) => new URLSearchParams([...new FormData(form)].filter(([name]) => name !== "version")).toString();
const kept = (form) => `marking ${form.action} ${form.dataset.question ?? form.elements.place?.value ?? ""}`;
const states = new Map(forms.map((form) => [form, { saved: values(form), running: null, timer: 0, stopped: false }]));

function fill(form, text) {
  const given = new URLSearchParams(text);
  for (const field of form.elements) {
    if (!field.name || field.type === "hidden") continue;
    if (field.type === "checkbox") field.checked = given.has(field.name);
    else field.value = given.get(field.name) ?? "";
  }
}

function say(form, text) {
  form.querySelector(".saved").textContent = text;
}

function showTotal(answer) {
  if (answer.total) total.textContent = answer.total;
}

function warn(text) {
  unsaved.hidden = !text;
  if (unsaved.textContent !== text) unsaved.textContent = text;
}

const problems = () => forms.filter((form) => values(form) !== states.get(form).saved);

// One request a form at a time; what was typed meanwhile is saved with the next.
function save(form) {
  const state = states.get(form);
  clearTimeout(state.timer);
  state.running ??= send(form, state).finally(() => { state.running = null; });
  return state.running;
}

async function send(form, state) {
  while (values(form) !== state.saved && !state.stopped) {
    const sent = values(form), body = new URLSearchParams([...new FormData(form)]);
    let answer, told;
    try {
      answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "application/json" }, keepalive: true });
      told = answer.headers.get("content-type")?.startsWith("application/json") ? await answer.json() : {};
    } catch {
      return retry(form, state, "The connection is broken. What you typed is kept in this browser, and saved as soon as it works again.");
    }
    if (answer.status === 401) return retry(form, state, "You are logged out. Log in again in another tab: what you typed is kept in this browser.");
    if (answer.status === 409 && told.theirs) return conflict(form, state, told.theirs);
    if (answer.status >= 500 || answer.status === 429) return retry(form, state, "The server cannot save just now. What you typed is kept in this browser.");
    if (!answer.ok) {
      warn(`Not saved: ${told.error ?? `the server answered ${answer.status}`}`);
      form.querySelector("[name=points]")?.setAttribute("aria-invalid", "true");
      return false;
    }
    form.querySelector("[name=points]")?.removeAttribute("aria-invalid");
    state.saved = sent;
    form.elements.version.value = told.saved.version;
    say(form, `Saved ${timeOfDay.format(new Date(told.saved.moment))}`);
    showTotal(told);
    if (values(form) === sent) localStorage.removeItem(kept(form));
  }
  if (!problems().length) warn("");
  return values(form) === state.saved;
}

function retry(form, state, text) {
  warn(text);
  state.timer = setTimeout(() => save(form), RETRY);
  return false;
}

// Somebody else has changed the same: both stand side by side, and a person decides.
function conflict(form, state, theirs) {
  const box = form.querySelector(".conflict");
  state.stopped = true;
  const labels = new Map([...form.querySelectorAll("[type=checkbox]")].map((each) => [each.name, each.parentElement.textContent.trim()]));
  const words = (points, items, text) => [points, ...items.map((name) => labels.get(name) ?? "a new rubric item"), text].filter(Boolean).join("; ") || "nothing";
  const mine = new FormData(form), name = form.elements.comment ? "comment" : "text";
  const items = (theirs.items ?? []).map((key) => `item:${key}`);
  const column = (title, text, label, press) => {
    const part = document.createElement("div");
    const button = Object.assign(document.createElement("button"), { type: "button", className: "plain", textContent: label });
    button.addEventListener("click", () => { box.hidden = true; box.replaceChildren(); state.stopped = false; press(); });
    part.append(Object.assign(document.createElement("strong"), { textContent: title }), Object.assign(document.createElement("p"), { className: "said", textContent: text }), button);
    return part;
  };
  const theirPoints = theirs.points === null || theirs.points === undefined ? "" : String(theirs.points);
  box.replaceChildren(
    column("Yours", words(mine.get("points"), [...mine.keys()].filter((each) => each.startsWith("item:")), mine.get(name)), "Keep yours", () => {
      form.elements.version.value = theirs.version;
      save(form).then(() => form.elements[name].focus());
    }),
    column(`${theirs.by}, ${timeOfDay.format(new Date(theirs.moment))}`, words(theirPoints, items, theirs[name]), "Take theirs", () => {
      const taken = new URLSearchParams([["points", theirPoints], [name, theirs[name] ?? ""], ...items.map((each) => [each, "on"])]);
      fill(form, taken);
      take(form, state, theirs.version);
      form.elements[name].focus();
    }),
  );
  box.hidden = false;
  warn("Somebody else has marked the same meanwhile: choose which of the two holds.");
  box.querySelector("button").focus();
  return false;
}

function take(form, state, version) {
  form.elements.version.value = version;
  state.saved = values(form);
  localStorage.removeItem(kept(form));
  if (!problems().length) warn("");
}

// Shows what others have changed, in forms in which nobody has typed.
async function refresh() {
  let now;
  try {
    const answer = await fetch(desk.dataset.state, { headers: { Accept: "application/json" } });
    if (!answer.ok) return;
    now = await answer.json();
  } catch { return; } // the next change tries again
  showTotal(now);
  for (const form of forms.filter((each) => each.dataset.question !== undefined)) {
    const found = now.questions[form.dataset.question], state = states.get(form);
    if (!found || state.stopped || state.running || found.version <= Number(form.elements.version.value)) continue;
    if (values(form) !== state.saved) continue; // saving it will tell
    const items = found.items.map((key) => [`item:${key}`, "on"]);
    fill(form, new URLSearchParams([["points", found.points], ["comment", found.comment], ...items]));
    take(form, state, found.version);
    say(form, `${found.by}, ${timeOfDay.format(new Date(found.moment))}`);
  }
}

// Goes to another person once everything is saved.
async function go(link) {
  const all = await Promise.all(problems().map(save));
  if (all.every(Boolean)) location.assign(link.href);
}

const fields = () => [...document.querySelectorAll("[name=points][inputmode]")];

document.addEventListener("keydown", (event) => {
  const next = document.getElementById("after"), before = document.getElementById("before");
  if (event.key === "Enter" && event.ctrlKey) go(event.shiftKey ? before : next);
  else if (event.altKey && event.code === "KeyN") go(next);
  else if (event.altKey && event.code === "KeyP") go(before);
  else if (event.altKey && event.code === "KeyS") document.getElementById("search").focus();
  else if (event.key === "Enter" && event.target.matches("[name=points][inputmode]")) {
    const all = fields(), following = all[all.indexOf(event.target) + 1];
    save(event.target.form);
    if (following) { following.focus(); following.select(); } else go(next);
  } else return;
  event.preventDefault();
});
for (const id of ["after", "before"]) {
  document.getElementById(id).addEventListener("click", (event) => { event.preventDefault(); go(event.currentTarget); });
}

for (const form of forms) {
  const state = states.get(form);
  form.querySelector(".save").hidden = true;
  form.addEventListener("submit", (event) => { event.preventDefault(); save(form); });
  form.addEventListener("input", () => {
    if (values(form) === state.saved) return;
    localStorage.setItem(kept(form), JSON.stringify([form.elements.version.value, values(form)]));
    say(form, "");
    clearTimeout(state.timer);
    state.timer = setTimeout(() => save(form), PAUSE);
  });
  form.addEventListener("change", () => save(form));
  form.querySelector(".again")?.addEventListener("change", (event) => {
    const field = form.elements.comment, again = event.target.value;
    if (again) field.value = field.value ? `${field.value}\n${again}` : again;
    event.target.value = "";
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });
  const left = localStorage.getItem(kept(form)); // of a page that was closed before it was saved
  if (left) {
    const [version, text] = JSON.parse(left);
    if (text === state.saved) localStorage.removeItem(kept(form)); // what it sent as it was closed has arrived
    else {
      fill(form, text);
      form.elements.version.value = version;
      save(form);
    }
  }
}
// Shows who else looks at this work. The note of this reader is repeated while the page is visible, and then expires.
async function meet() {
  if (document.hidden) return;
  try {
    const answer = await fetch(desk.dataset.presence, { method: "POST", headers: { Accept: "application/json" } });
    if (!answer.ok) return;
    const { others } = await answer.json(), box = document.getElementById("present");
    const text = others.length ? `${others.join(" and ")} ${others.length === 1 ? "looks" : "look"} at this work now, too.` : "";
    if (box.textContent !== text) box.textContent = text;
    box.hidden = !text;
  } catch { /* the next time */ }
}
meet();
setInterval(meet, MEET);
document.addEventListener("visibilitychange", meet);

new EventSource(desk.dataset.live).addEventListener("changed", refresh);
