// Keeps words about time left true while a page stays open.
//
// <strong role="timer" aria-live="off" data-countdown="2026-05-12T15:58:00+00:00">2 h 18 min left</strong>
//   data-countdown-style          "clock": 04:12, "minutes": 42 min; words otherwise
//   data-countdown-name           whose time, for the spoken announcement
//   data-countdown-ended          words when it is over ("Ended")
// Inside a .time-bar the bar and its colour follow, inside a .mfa-pill the ring and its words. A polite region speaks at 10, 5 and 1 minutes and at the end.

const SPOKEN_MINUTES = [10, 5, 1];
const ENDING_SECONDS = 15 * 60;
const PILL_ENDING_SECONDS = 10 * 60;
const timers = [...document.querySelectorAll("[data-countdown]")];

const region = document.createElement("p");
region.className = "sr-only";
region.setAttribute("aria-live", "polite");
document.body.append(region);

function inWords(seconds) {
  const minutes = Math.ceil(seconds / 60);
  const hours = Math.floor(minutes / 60);
  if (hours === 0) return `${minutes} min left`;
  return minutes % 60 ? `${hours} h ${minutes % 60} min left` : `${hours} h left`;
}

function asClock(seconds) {
  const pad = (number) => String(number).padStart(2, "0");
  return `${pad(Math.floor(seconds / 60))}:${pad(seconds % 60)}`;
}

const FORMATS = { clock: asClock, minutes: (seconds) => `${Math.ceil(seconds / 60)} min` };

function speak(timer, seconds) {
  const name = timer.dataset.countdownName;
  const prefix = name ? `${name}: ` : "";
  if (seconds === 0) region.textContent = `${prefix}time is up`;
  else if (SPOKEN_MINUTES.includes(seconds / 60)) region.textContent = prefix + inWords(seconds);
}

function moveBar(timer, seconds) {
  const box = timer.closest(".time-bar");
  const bar = box?.querySelector("progress");
  if (!bar) return;
  const total = Number(timer.dataset.countdownTotal);
  if (total) bar.value = bar.max * (1 - seconds / total);
  if (seconds <= ENDING_SECONDS || (total && seconds <= total / 10)) box.dataset.state = "ending";
}

function movePill(timer, seconds) {
  const pill = timer.closest(".mfa-pill");
  if (!pill) return;
  pill.querySelector(".left")?.setAttribute("stroke-dasharray", `${Math.ceil(seconds / 60)} 60`);
  if (seconds < PILL_ENDING_SECONDS) pill.dataset.state = "ending";
  if (seconds === 0) {
    pill.dataset.state = "idle";
    pill.querySelector(".left")?.remove();
    pill.querySelector(":scope > span").textContent = "MFA not verified";
  }
}

function tick(timer) {
  const seconds = Math.max(0, Math.round((Date.parse(timer.dataset.countdown) - Date.now()) / 1000));
  const words = (FORMATS[timer.dataset.countdownStyle] ?? inWords)(seconds);
  const text = seconds === 0 ? (timer.dataset.countdownEnded ?? "Time is up") : words;
  if (timer.textContent !== text) timer.textContent = text;
  moveBar(timer, seconds);
  movePill(timer, seconds);
  if (timer.dataset.countdownSpoken !== String(seconds)) {
    timer.dataset.countdownSpoken = String(seconds);
    speak(timer, seconds);
  }
  return seconds > 0;
}

let running = timers.filter(tick);
if (running.length) {
  const clock = setInterval(() => {
    running = running.filter(tick);
    if (!running.length) clearInterval(clock);
  }, 1000);
}
