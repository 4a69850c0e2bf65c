// The policy of a tube in words: what the server applies to its jobs by itself.

import { bytes, count, duration } from "./format.js";

// figures: of `stats-tube`, with the settings. Empty if there is none.
export function policyText(figures) {
  const parts = [];
  const tube = figures["dead-tube"];
  const attempts = figures["max-attempts"];
  if (attempts) {
    const then = tube ? `moved to ${tube}` : "buried";
    parts.push(`after ${count(attempts, "attempt")} a job is ${then}`);
  }
  if (figures.expire) {
    const then = tube && !attempts ? ` and is moved to ${tube}` : "";
    parts.push(`a job expires after ${duration(figures.expire)}${then}`);
  }
  if (figures["max-jobs"]) parts.push(`at most ${count(figures["max-jobs"], "job")}`);
  if (figures["max-bytes"]) parts.push(`at most ${bytes(figures["max-bytes"])} of bodies`);
  if (figures["max-reserved"])
    parts.push(`at most ${count(figures["max-reserved"], "job")} reserved`);
  return parts.length ? `Policy: ${parts.join("; ")}.` : "";
}
