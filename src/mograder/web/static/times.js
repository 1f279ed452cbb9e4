// Shows moments in the reader's own zone, which is named, and counts down on the server's clock.
const zoned = new Intl.DateTimeFormat([], { year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" });
const ahead = Number(document.documentElement.dataset.now) / 1000 - Date.now();
const units = [["day", 86400], ["hour", 3600], ["minute", 60]];
const spoken = new Intl.RelativeTimeFormat([], { numeric: "always" });

function showTimes(root) {
  for (const time of root.querySelectorAll("time:not([data-utc])")) {
    if (time.title) continue; // shown already
    time.title = time.textContent;
    time.textContent = zoned.format(new Date(time.dateTime));
  }
}

function countDown() {
  for (const each of document.querySelectorAll("[data-until]")) {
    const seconds = (Number(each.dataset.until) / 1000 - Date.now() - ahead) / 1000;
    const [unit, length] = units.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 1];
    each.textContent = spoken.format(Math.trunc(seconds / length), unit);
  }
}

showTimes(document);
countDown();
setInterval(countDown, 1000);
document.addEventListener("htmx:load", (event) => { showTimes(event.target); countDown(); });
