// Building elements, and the one line at the top that says what went wrong.

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
