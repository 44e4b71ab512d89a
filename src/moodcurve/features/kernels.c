/* The loops of the extractor that numpy cannot do at once; see kernels.py for what they compute.

   Plain C99, no Python in it. Arrays are C-contiguous; sizes are checked on the other side. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#if defined(_WIN32)
#define EXPORT __declspec(dllexport)
#else
#define EXPORT __attribute__((visibility("default")))
#endif

/* On x86-64 Linux each loop is compiled for newer processors too, and chosen as it is loaded. */
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define FAST __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#define INLINE static inline __attribute__((always_inline))
#else
#define FAST
#define INLINE static inline
#endif

enum { SHORT_BINS = 513, LONG_BINS = 2049, POINTS = 1024, CANDIDATES = 6 };

/* Magnitudes of one spectrum, reduced to the neighbourhood of peaks and smoothed by (1, 2, 1) / 4. */
INLINE void reduce_to_peaks(const float *spectrum, float *kept)
{
    float magnitude[LONG_BINS], raw[LONG_BINS];
    int32_t peak[LONG_BINS + 4] = {0}; /* two beside either end */
    for (int k = 0; k < LONG_BINS; k++)
        magnitude[k] = sqrtf(spectrum[2 * k] * spectrum[2 * k]
                             + spectrum[2 * k + 1] * spectrum[2 * k + 1]);
    for (int k = 1; k < LONG_BINS - 1; k++)
        peak[k + 2] = (magnitude[k] > magnitude[k - 1]) & (magnitude[k] >= magnitude[k + 1]);
    for (int k = 0; k < LONG_BINS; k++) {
        int32_t near = peak[k] | peak[k + 1] | peak[k + 2] | peak[k + 3] | peak[k + 4];
        raw[k] = near ? magnitude[k] : 0.0f;
    }
    kept[0] = raw[0];
    kept[LONG_BINS - 1] = raw[LONG_BINS - 1];
    for (int k = 1; k < LONG_BINS - 1; k++)
        kept[k] = (raw[k - 1] + 2.0f * raw[k] + raw[k + 1]) / 4.0f;
}

INLINE void add_harmonics(const float *kept, const int32_t *first, const float *taps,
                               int harmonics, const int32_t *shifts, const float *weights,
                               float *total)
{
    float axis[POINTS];
    for (int j = 0; j < POINTS; j++) {
        const float *k = kept + first[j];
        float value = taps[j] * k[0] + taps[POINTS + j] * k[1] + taps[2 * POINTS + j] * k[2]
                      + taps[3 * POINTS + j] * k[3];
        axis[j] = value > 0.0f ? value : 0.0f;
    }
    for (int j = 0; j < POINTS; j++)
        total[j] = axis[j];
    for (int h = 1; h < harmonics; h++)
        for (int j = 0; j < POINTS - shifts[h]; j++)
            total[j] += weights[h] * axis[j + shifts[h]];
}

EXPORT FAST void subharmonic_sums(const float *spectra, ptrdiff_t frames, const int32_t *first,
                             const float *taps, ptrdiff_t harmonics, const int32_t *shifts,
                             const float *weights, float *totals)
{
    for (ptrdiff_t t = 0; t < frames; t++) {
        float kept[LONG_BINS];
        reduce_to_peaks(spectra + t * 2 * LONG_BINS, kept);
        add_harmonics(kept, first, taps, (int)harmonics, shifts, weights, totals + t * POINTS);
    }
}

/* The highest peaks of each total, highest first: their points, -1 where there are fewer. */
EXPORT void highest_peaks(const float *totals, ptrdiff_t frames, int32_t *points)
{
    for (ptrdiff_t t = 0; t < frames; t++) {
        const float *total = totals + t * POINTS;
        int32_t *best = points + t * CANDIDATES;
        int found = 0;
        float least = -INFINITY; /* that a peak must exceed; most points do not */
        for (int32_t j = 1; j < POINTS - 1; j++) {
            if (total[j] <= least || total[j] <= total[j - 1] || total[j] < total[j + 1])
                continue;
            int place = found < CANDIDATES ? found++ : CANDIDATES - 1;
            while (place > 0 && total[best[place - 1]] < total[j]) {
                best[place] = best[place - 1];
                place--;
            }
            best[place] = j;
            if (found == CANDIDATES)
                least = total[best[CANDIDATES - 1]];
        }
        while (found < CANDIDATES)
            best[found++] = -1;
    }
}

/* Up-and-down way between successive extrema of each frame's power, see spectral.harmonicity. */
EXPORT FAST void up_and_down(const float *power, ptrdiff_t frames, double *ways)
{
    for (ptrdiff_t t = 0; t < frames; t++) {
        const float *p = power + t * SHORT_BINS;
        uint8_t extreme[SHORT_BINS];
        double way = 0.0, last = -1.0;
        for (ptrdiff_t k = 3; k < SHORT_BINS - 2; k++) {
            float x = p[k];
            uint8_t peak = (x > p[k - 2]) & (x > p[k - 1]) & (x > p[k + 1]) & (x > p[k + 2]);
            uint8_t valley = (x < p[k - 2]) & (x < p[k - 1]) & (x < p[k + 1]) & (x < p[k + 2]);
            extreme[k] = peak | valley;
        }
        for (ptrdiff_t k = 3; k < SHORT_BINS - 2; k++) {
            if (extreme[k]) {
                way += last >= 0.0 ? fabs((double)p[k] - last) : 0.0;
                last = p[k];
            }
        }
        ways[t] = way;
    }
}

/* First bin (1 is the first that counts) up to which each share of the power lies. */
EXPORT void roll_off_bins(const float *power, ptrdiff_t frames, ptrdiff_t bins,
                          const double *shares, ptrdiff_t count, int32_t *found)
{
    for (ptrdiff_t t = 0; t < frames; t++) {
        const float *p = power + t * bins;
        double total = 0.0, running = 0.0;
        for (ptrdiff_t k = 1; k < bins; k++)
            total += p[k];
        ptrdiff_t k = 1;
        running = p[1];
        for (ptrdiff_t s = 0; s < count; s++) { /* shares rise */
            while (running < shares[s] * total && k < bins - 1)
                running += p[++k];
            found[t * count + s] = (int32_t)k;
        }
    }
}

/* One pass of the Viterbi search, see voicing.PitchTrack: six candidates and "unvoiced" a frame. */
EXPORT void search_path(const double *frequency, const double *voicing, ptrdiff_t frames,
                        double unvoiced, double jump, double change, double *cost, double *octave,
                        int32_t *back, int32_t *best)
{
    enum { STATES = CANDIDATES + 1 };
    for (ptrdiff_t t = 0; t < frames; t++) {
        double next[STATES], here[CANDIDATES], least = INFINITY;
        for (int to = 0; to < STATES; to++) {
            double local = unvoiced, lowest = INFINITY;
            if (to < CANDIDATES) {
                double f = frequency[t * CANDIDATES + to];
                here[to] = log2(f > 1.0 ? f : 1.0);
                local = f > 0.0 ? 1.0 - voicing[t * CANDIDATES + to] : 1e3;
            }
            for (int from = 0; from < STATES; from++) {
                double way = cost[from];
                if (from < CANDIDATES && to < CANDIDATES)
                    way += jump * fabs(octave[from] - here[to]);
                else if (from != to)
                    way += change;
                if (way < lowest) {
                    lowest = way;
                    back[t * STATES + to] = from;
                }
            }
            next[to] = lowest + local;
            if (next[to] < least) {
                least = next[to];
                best[t] = to;
            }
        }
        for (int s = 0; s < STATES; s++)
            cost[s] = next[s] - least;
        for (int s = 0; s < CANDIDATES; s++)
            octave[s] = here[s];
    }
}

INLINE float dot(const float *a, const float *b, ptrdiff_t n)
{
    enum { LANES = 16 };
    float sums[LANES] = {0}, sum = 0.0f;
    ptrdiff_t k = 0;
    for (; k + LANES <= n; k += LANES)
        for (int i = 0; i < LANES; i++)
            sums[i] += a[k + i] * b[k + i];
    for (; k < n; k++)
        sum += a[k] * b[k];
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            sums[i] += sums[i + half];
    return sum + sums[0];
}

/* Where the waveform repeats, see voicing.next_period: lag, peak-to-peak, likeness. */
INLINE void next_period(const float *samples, double expected, double *found)
{
    ptrdiff_t width = (ptrdiff_t)rint(expected), low = (ptrdiff_t)(0.85 * expected);
    ptrdiff_t lags = (ptrdiff_t)(1.15 * expected) + 2 - low, at = 0; /* 22 at least */
    enum { MOST_LAGS = 512 }; /* 0.3 of the longest period and a few */
    double likeness[MOST_LAGS], own = 0.0, energy = 0.0, top = -INFINITY;
    float least = samples[0], most = samples[0];
    for (ptrdiff_t k = 0; k < width; k++) {
        own += (double)samples[k] * samples[k];
        energy += (double)samples[low + k] * samples[low + k];
        least = samples[k] < least ? samples[k] : least;
        most = samples[k] > most ? samples[k] : most;
    }
    for (ptrdiff_t lag = 0; lag < lags; lag++) {
        double product = dot(samples, samples + low + lag, width);
        likeness[lag] = product / sqrt(own * (energy > 0.0 ? energy : 0.0) + 1e-20);
        if (likeness[lag] > top) {
            top = likeness[lag];
            at = lag;
        }
        double gone = samples[low + lag], come = samples[low + lag + width];
        energy += come * come - gone * gone;
    }
    double offset = 0.0;
    if (at > 0 && at < lags - 1) {
        double left = likeness[at - 1], right = likeness[at + 1], bend = left - 2.0 * top + right;
        if (bend < 0.0) {
            offset = 0.5 * (left - right) / bend;
            top -= 0.25 * (left - right) * offset;
        }
    }
    found[0] = (double)(low + at) + offset;
    found[1] = (double)most - least;
    found[2] = top;
}

/* Follow the periods as far as F0 is known, see voicing.Periods; returns how many were found.

   `state` is the position in samples and the number of the voiced stretch; a period is begin,
   length, amplitude, likeness, stretch. */
EXPORT FAST ptrdiff_t follow_periods(const float *samples, ptrdiff_t count, ptrdiff_t origin,
                                const double *f0, ptrdiff_t frames, ptrdiff_t first, double rate,
                                double step, double frame_length, double *state, double *periods,
                                ptrdiff_t room)
{
    ptrdiff_t found = 0;
    double position = state[0];
    while (found < room) {
        ptrdiff_t frame = (ptrdiff_t)rint((position - frame_length / 2.0) / step);
        if (frame >= first + frames)
            break;
        double pitch = frame >= first ? f0[frame - first] : 0.0;
        if (pitch == 0.0) {
            ptrdiff_t next = frame + 1 > first ? frame + 1 : first;
            while (next < first + frames && f0[next - first] == 0.0)
                next++;
            state[1] += 1.0;
            position = (double)next * step + frame_length / 2.0;
            continue;
        }
        if (position + 2.2 * rate / pitch >= (double)(origin + count))
            break;
        double *period = periods + 5 * found++;
        period[0] = position;
        next_period(samples + ((ptrdiff_t)rint(position) - origin), rate / pitch, period + 1);
        period[4] = state[1];
        position += period[1];
    }
    state[0] = position;
    return found;
}
