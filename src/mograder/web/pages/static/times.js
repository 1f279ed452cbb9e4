// Shows moments in the reader's own zone, which is named, and counts down by the server's clock. A page that waits for
// a moment is reloaded then.
const parts = { weekday: "short", year: "numeric", month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" };
const zoned = new Intl.DateTimeFormat([], { ...parts, timeZoneName: "short" });
const plain = new Intl.DateTimeFormat([], parts); // on a page that says the zone once
const ofThisYear = new Intl.DateTimeFormat([], { ...parts, year: undefined });
const named = new Intl.DateTimeFormat([], { timeZoneName: "longGeneric" });
const zoneName = named.resolvedOptions().timeZone === "UTC" ? "UTC" // which browsers call GMT+00:00
  : named.formatToParts().find((each) => each.type === "timeZoneName").value;
const now = Number(document.documentElement.dataset.now) / 1000;
const ahead = now - Date.now();
const units = [["day", 86400], ["hour", 3600], ["minute", 60]];
const spoken = new Intl.RelativeTimeFormat([], { numeric: "always" });
const clock = ["hour", "minute", "dayPeriod", "timeZoneName"];

// A line may end between the day and the time of day, and inside of neither.
function told(format, moment) {
  const all = format.formatToParts(moment), ofDay = (at) => clock.includes(all[at]?.type);
  return all.map(({ type, value }, at) => type === "literal" && ofDay(at - 1) !== ofDay(at + 1) ? value : value.replace(/\s/g, "\u00a0")).join("");
}

function showTimes(root) {
  const said = document.querySelector("[data-zone]");
  for (const time of root.querySelectorAll("time:not([data-utc])")) {
    if (time.title) continue; // shown already
    time.title = time.textContent;
    const moment = new Date(time.dateTime);
    const thisYear = said && moment.getFullYear() === new Date(now).getFullYear();
    time.textContent = told(thisYear ? ofThisYear : said ? plain : zoned, moment);
  }
  for (const zone of root.querySelectorAll("[data-zone]")) zone.textContent = zoneName;
}

let reloading = false;

function countDown() {
  for (const each of document.querySelectorAll("[data-until]")) {
    const seconds = (Number(each.dataset.until) / 1000 - Date.now() - ahead) / 1000;
    const [unit, length] = units.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 1];
    each.textContent = spoken.format(Math.trunc(seconds / length), unit);
    if (seconds < 0 && "reload" in each.dataset && !reloading) {
      reloading = true;
      setTimeout(() => location.reload(), 3000 * Math.random()); // not the whole class in one instant
    }
  }
}

showTimes(document);
countDown();
setInterval(countDown, 1000);
document.addEventListener("htmx:load", (event) => { showTimes(event.target); countDown(); });
