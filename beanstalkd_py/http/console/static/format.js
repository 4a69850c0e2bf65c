// Figures as a reader wants them: short, with a unit, in English.

const SPACE = "\u202f"; // narrow, and no line breaks there

export function number(value) {
  const digits = String(Math.round(Math.abs(value)));
  const grouped = digits.replace(/\B(?=(\d{3})+(?!\d))/g, SPACE);
  return value < 0 && digits !== "0" ? `\u2212${grouped}` : grouped;
}

// Per second: small ones with one digit behind the point.
export function rate(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "\u2013";
  if (value > 0 && value < 10) return value < 0.05 ? "<0.1" : String(Number(value.toFixed(1)));
  return number(value);
}

export function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let size = value;
  let unit = 0;
  while (size >= 999.5 && unit < units.length - 1) {
    size /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || size >= 99.95 ? 0 : 1;
  return `${size.toFixed(digits)}${SPACE}${units[unit]}`;
}

const UNITS = [
  ["d", 86400],
  ["h", 3600],
  ["min", 60],
  ["s", 1],
];

// One unit: "14 min". Below a second: "0 s".
export function age(seconds) {
  const [unit, length] = UNITS.find(([, each]) => seconds >= 2 * each) ?? UNITS[3];
  return `${Math.floor(seconds / length)}${SPACE}${unit}`;
}

// Two units: "12 d 4 h".
export function duration(seconds) {
  const first = UNITS.findIndex(([, each]) => seconds >= each);
  if (first === -1) return seconds > 0 ? milliseconds(seconds) : `0${SPACE}s`;
  const parts = [];
  let left = Math.floor(seconds);
  for (const [unit, length] of UNITS.slice(first, first + 2)) {
    if (left >= length) parts.push(`${Math.floor(left / length)}${SPACE}${unit}`);
    left %= length;
  }
  return parts.join(" ");
}

export function milliseconds(seconds) {
  const ms = seconds * 1000;
  if (ms >= 1000) return `${Number(seconds.toFixed(1))}${SPACE}s`;
  return `${ms >= 10 ? Math.round(ms) : Number(ms.toPrecision(2))}${SPACE}ms`;
}

export function count(value, one, many = `${one}s`) {
  return `${number(value)} ${value === 1 ? one : many}`;
}

// An instant, given in seconds since 1970, in the zone of the reader.
export function clock(seconds) {
  const date = new Date(seconds * 1000);
  const two = (value) => String(value).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

// A duration that a person types: 90, 90s, 5 min, 2h, 1 d. Seconds, or null.
export function parseDuration(text) {
  const match = /^\s*(\d+(?:\.\d+)?)\s*(s|m|min|h|d)?\s*$/.exec(text);
  if (match === null) return null;
  return Math.round(
    Number(match[1]) * { s: 1, m: 60, min: 60, h: 3600, d: 86400 }[match[2] ?? "s"],
  );
}
