// Says how far an export has come, while the browser takes it.
//
// <div data-progress="/audit-log/exports/"><span role="status">...</span><a download href="...">...</a></div>
//
// The link gets a token, under which the portal notes the rows written so far. Without script the file comes the same.

const EVERY_MS = 1000;
const MOST_MISSES = 15;

const number = new Intl.NumberFormat("en-GB");

function words({ rows, expected, finished }) {
  if (finished) return `Exported ${number.format(rows)} lines`;
  if (!expected) return `${number.format(rows)} lines written`;
  const part = Math.min(99, Math.floor((100 * rows) / expected));
  return `${part}% of about ${number.format(expected)} rows written`;
}

async function follow(address, status) {
  for (let misses = 0; misses < MOST_MISSES; ) {
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    if (document.hidden) continue;
    const answer = await fetch(address, { credentials: "same-origin" }).catch(() => null);
    if (!answer?.ok) {
      misses += 1;
      continue;
    }
    const seen = await answer.json();
    status.textContent = words(seen);
    if (seen.finished) return;
  }
}

for (const box of document.querySelectorAll("[data-progress]")) {
  const status = box.querySelector("[role=status]");
  for (const link of box.querySelectorAll("a[download]")) {
    link.addEventListener("click", () => {
      if (!crypto.randomUUID) return;
      const token = crypto.randomUUID();
      const address = new URL(link.href);
      address.searchParams.set("progress", token);
      link.href = address;
      follow(`${box.dataset.progress}${token}/`, status);
    });
  }
}
