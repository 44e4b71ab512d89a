// Building elements, saving files, and the one line at the top that says what went wrong.

export const $ = (id) => document.getElementById(id);

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

export const colour = (name) =>
  getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

export function say(line) {
  $("said").textContent = line;
}

// What is wrong stays until it is put right or waved away; each subject has one line.
const wrong = new Map();

export function complain(subject, line) {
  if (line) wrong.set(subject, line);
  else wrong.delete(subject);
  $("complaints").replaceChildren(
    ...[...wrong].map(([key, text]) => {
      const close = element("button", { type: "button", className: "quiet", textContent: "Dismiss" });
      close.onclick = () => complain(key, "");
      return element("p", {}, text, " ", close);
    }),
  );
}

// How far a wheel zooms: by a quarter for a notch, which is 50 pixels or 3 lines, or more; by less for
// each of the many small turns that a pinch sends.
export const turned = ({ deltaY, deltaMode }) =>
  1.25 ** -Math.max(-1, Math.min(1, deltaY / (deltaMode ? 3 : 50)));

// Hand a file to the browser's downloads.
export function save(name, blob) {
  const link = element("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}
