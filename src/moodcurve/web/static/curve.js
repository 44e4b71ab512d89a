// What a curve says: its values at a time, and in words.

export const DIMENSIONS = ["valence", "arousal"];
export const ENDS = { valence: ["unpleasant", "pleasant"], arousal: ["calm", "excited"] };

const ROW = 0.5; // seconds

// The JSON export, by column: {duration, times, valence, arousal, bands, ...what it says of itself}.
export function readCurve(json) {
  const column = (name) => {
    const at = json.columns.indexOf(name);
    if (at < 0) return null;
    const values = new Float64Array(json.rows.length); // a plain loop: ten times as fast as `from`
    for (let row = 0; row < values.length; row++) values[row] = json.rows[row][at];
    return values;
  };
  const ends = column("end_s");
  const bands = {};
  for (const dimension of DIMENSIONS) {
    const low = column(`${dimension}_low`);
    bands[dimension] = json.band && low ? { low, high: column(`${dimension}_high`) } : null;
  }
  const duration = ends.length ? ends[ends.length - 1] : 0;
  const times = column("start_s").map((start) => start + ROW / 2);
  const { rows, columns, ...about } = json;
  return { ...about, duration, times, valence: column("valence"), arousal: column("arousal"), bands };
}

// The row that a time lies in; the last one for a time past the end.
export const rowAt = (curve, time) =>
  Math.max(0, Math.min(curve.times.length - 1, Math.floor(time / ROW)));

// [valence, arousal] between the rows' middles, so that what moves with it moves evenly.
export function pointAt(curve, time) {
  const last = curve.times.length - 1;
  const place = Math.max(0, Math.min(last, time / ROW - 0.5));
  const row = Math.floor(place);
  const part = place - row;
  return DIMENSIONS.map((dimension) => {
    const values = curve[dimension];
    return values[row] + part * (values[Math.min(row + 1, last)] - values[row]);
  });
}

export const passageAt = (curve, time) =>
  curve.passages.findLast((passage) => passage.start_s <= time) ?? curve.passages[0];

export const number = (value) => {
  const digits = Math.abs(value).toFixed(2);
  return (value < 0 && Number(digits) ? "−" : "") + digits;
};

export function clock(seconds) {
  const whole = Math.floor(seconds + 1e-6);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  const rest = String(whole % 60).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${rest}` : `${minutes}:${rest}`;
}

export const feeling = ({ quadrant, mood }) =>
  quadrant === "neutral" || mood === quadrant ? quadrant : `${quadrant} (${mood})`;

// What one would see, for those who cannot.
export function inWords(curve) {
  const spans = DIMENSIONS.map((dimension) => {
    const { mean, min, max } = curve.summary[dimension];
    return `${dimension} is ${number(mean)} on average, between ${number(min)} and ${number(max)}`;
  });
  const lead = `${curve.song} lasts ${clock(curve.duration)}: ${spans.join("; ")}.`;
  const [first, ...later] = curve.passages;
  if (!first) return lead;
  if (!later.length) return `${lead} The mood stays ${feeling(first)} throughout.`;
  const shown = later.slice(0, 6).map((next) => `at ${clock(next.start_s)} ${feeling(next)}`);
  const rest = later.length - shown.length;
  return `${lead} It begins ${feeling(first)}, then turns ${shown.join(", ")}` +
    (rest ? `, and ${rest} more times.` : ".");
}

export function familiarity(curve) {
  if (!curve.familiarity) return "not known to this model";
  const { percentile, familiar } = curve.familiarity;
  return familiar
    ? `familiar: nearer than ${Math.round(100 - percentile)} % of the songs learned from`
    : "unlike the songs learned from";
}
