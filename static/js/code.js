// Leaves only ASCII digits in a six-digit code, whatever the keyboard, and takes a code out of pasted text: "123 456",
// "Your code is 123-456". A form with data-once is sent once: a second click would send a used code.

function ascii(text) {
  return text.normalize("NFKC").replace(/[٠-٩۰-۹]/g, (digit) => digit.charCodeAt(0) & 15);
}

function tidy(input) {
  const before = ascii(input.value.slice(0, input.selectionStart)).replace(/\D/g, "");
  const digits = ascii(input.value).replace(/\D/g, "").slice(0, 6);
  if (digits === input.value) return;
  input.value = digits;
  input.setSelectionRange(before.length, before.length);
}

for (const input of document.querySelectorAll("input[data-code]")) {
  input.addEventListener("input", (event) => {
    if (!event.isComposing) tidy(input);
  });
  input.addEventListener("compositionend", () => tidy(input));
  input.addEventListener("paste", (event) => {
    const code = ascii(event.clipboardData.getData("text")).match(/(?<!\d)\d(?:[\s\p{Cf}\p{Pd}]?\d){5}(?!\d)/u);
    if (!code) return;
    event.preventDefault();
    input.value = code[0];
    tidy(input);
  });
}

for (const form of document.querySelectorAll("form[data-once]")) {
  let sentAt = -Infinity;
  form.addEventListener("submit", (event) => {
    if (event.timeStamp - sentAt < 5000) event.preventDefault();
    else sentAt = event.timeStamp;
  });
}
