/* The loops of the extractor that numpy cannot do at once; see kernels.py for what they compute.

   Plain C99, no Python in it. Arrays are C-contiguous; sizes are checked on the other side. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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

enum { SHORT_BINS = 513, LONG_BINS = 2049, POINTS = 2049, CANDIDATES = 6, REACH = 12 };
enum { WHOLE = 33 * 64 }; /* room for 2049 in steps of 64; what is beyond is not used */
enum { FARTHEST = 832 }; /* points, no harmonic is shifted farther */

typedef float Lanes __attribute__((vector_size(64)));     /* gcc and clang */
typedef int32_t Choice __attribute__((vector_size(64)));

INLINE Lanes lanes(const float *from)
{
    Lanes loaded;
    memcpy(&loaded, from, sizeof loaded);
    return loaded;
}

/* Four of them, 64 sums that stay in registers: += weight x what lies from there on. */
typedef struct {
    Lanes a, b, c, d;
} Sums;

INLINE void add(Sums *sums, float weight, const float *from)
{
    sums->a += weight * lanes(from);
    sums->b += weight * lanes(from + 16);
    sums->c += weight * lanes(from + 32);
    sums->d += weight * lanes(from + 48);
}

INLINE float dot(const float *a, const float *b, ptrdiff_t n)
{
    enum { LANES = 32 };
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

INLINE double sum(const float *a, ptrdiff_t n)
{
    enum { LANES = 32 };
    float sums[LANES] = {0};
    double total = 0.0;
    ptrdiff_t k = 0;
    for (; k + LANES <= n; k += LANES)
        for (int i = 0; i < LANES; i++)
            sums[i] += a[k + i];
    for (; k < n; k++)
        total += a[k];
    for (int i = 0; i < LANES; i++)
        total += sums[i];
    return total;
}

/* Magnitudes of one spectrum, reduced to the neighbourhood of peaks, smoothed by (1, 2, 1) / 4 and
   turned to the coefficients of the cubic spline through them; the spectrum's energy is returned.

   `sharpen` are 2 REACH + 1 taps; beyond its ends the spectrum goes on point-symmetrically. */
INLINE float reduce_to_peaks(const float *spectrum, const float *sharpen, float *coefficients)
{
    float magnitude[LONG_BINS], raw[LONG_BINS], padded[WHOLE + 2 * REACH];
    float *kept = padded + REACH;
    int32_t peak[LONG_BINS + 4] = {0}; /* two beside either end */
    for (int k = 0; k < LONG_BINS; k++)
        magnitude[k] = sqrtf(spectrum[2 * k] * spectrum[2 * k]
                             + spectrum[2 * k + 1] * spectrum[2 * k + 1]);
    float energy = dot(magnitude, magnitude, LONG_BINS);
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
    for (int k = 1; k <= REACH; k++) {
        kept[-k] = 2.0f * kept[0] - kept[k];
        kept[LONG_BINS - 1 + k] = 2.0f * kept[LONG_BINS - 1] - kept[LONG_BINS - 1 - k];
    }
    for (int k = 0; k < WHOLE; k += 64) {
        Sums sums = {{0}, {0}, {0}, {0}};
        for (int i = 0; i <= 2 * REACH; i++)
            add(&sums, sharpen[i], padded + k + i);
        memcpy(coefficients + k, &sums, sizeof sums);
    }
    return energy;
}

INLINE void add_harmonics(const float *spline, const int32_t *first, const float *taps,
                          int harmonics, const int32_t *shifts, const float *weights, float *total)
{
    float axis[WHOLE + FARTHEST], sums[WHOLE];
    memset(axis + POINTS, 0, sizeof axis - POINTS * sizeof *axis);
    for (int j = 0; j < POINTS; j++) {
        const float *k = spline + first[j];
        float value = taps[j] * k[0] + taps[POINTS + j] * k[1] + taps[2 * POINTS + j] * k[2]
                      + taps[3 * POINTS + j] * k[3];
        axis[j] = value > 0.0f ? value : 0.0f;
    }
    for (int j = 0; j < WHOLE; j += 64) {
        Sums here;
        memcpy(&here, axis + j, sizeof here);
        for (int h = 1; h < harmonics; h++)
            add(&here, weights[h], axis + j + shifts[h]);
        memcpy(sums + j, &here, sizeof here);
    }
    memcpy(total, sums, POINTS * sizeof *total);
}

EXPORT FAST void subharmonic_sums(const float *spectra, ptrdiff_t frames, const float *sharpen,
                                  const int32_t *first, const float *taps, ptrdiff_t harmonics,
                                  const int32_t *shifts, const float *weights, float faint,
                                  float *totals)
{
    for (ptrdiff_t t = 0; t < frames; t++) {
        float spline[WHOLE], *total = totals + t * POINTS;
        if (reduce_to_peaks(spectra + t * 2 * LONG_BINS, sharpen, spline) < faint)
            memset(total, 0, POINTS * sizeof *total);
        else
            add_harmonics(spline, first, taps, (int)harmonics, shifts, weights, total);
    }
}

/* The points of the highest inner peaks of one total, highest first; returns how many. */
static int highest_peaks(const float *total, int *best)
{
    int found = 0;
    float least = -INFINITY; /* that a peak must exceed; most points do not */
    for (int j = 1; j < POINTS - 1; j++) {
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
    return found;
}

/* See voicing.candidates: frequency and voicing (frames, CANDIDATES), 0 where there are fewer. */
EXPORT FAST void pitch_candidates(const float *totals, ptrdiff_t frames, const double *axis,
                                  double lowest, double highest, double *frequency, double *voicing)
{
    double octaves = log2(axis[1] / axis[0]);
    for (ptrdiff_t t = 0; t < frames; t++) {
        const float *total = totals + t * POINTS;
        int best[CANDIDATES], peaks = highest_peaks(total, best), kept = 0;
        double mean = sum(total, POINTS) / POINTS;
        for (int c = 0; c < CANDIDATES; c++)
            frequency[t * CANDIDATES + c] = voicing[t * CANDIDATES + c] = 0.0;
        for (int c = 0; c < peaks; c++) {
            double left = total[best[c] - 1], middle = total[best[c]], right = total[best[c] + 1];
            double bend = left - 2.0 * middle + right;
            double offset = bend < 0.0 ? 0.5 * (left - right) / bend : 0.0;
            double height = middle - 0.25 * (left - right) * offset;
            double f = axis[best[c]] * exp2(octaves * offset);
            if (f < lowest || f > highest || height <= 0.0)
                continue;
            double clear = 1.0 - mean / height;
            frequency[t * CANDIDATES + kept] = f;
            voicing[t * CANDIDATES + kept++] = clear > 0.0 ? clear : 0.0;
        }
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

/* What a candidate costs by itself, see voicing.PitchTrack; `costs` as listed there. */
static double own_cost(double f, double voicing, const double *costs)
{
    if (f <= 0.0)
        return 1e6;
    double cost = costs[0] * (1.0 - voicing) + (voicing < costs[1] ? costs[2] : 0.0);
    cost += f < costs[7] ? costs[8] * (costs[7] - f) : 0.0;
    return cost + (f > costs[9] ? costs[10] * (f - costs[9]) : 0.0);
}

/* One pass of the Viterbi search, see voicing.PitchTrack: six candidates and "unvoiced" a frame. */
EXPORT void search_path(const double *frequency, const double *voicing, ptrdiff_t frames,
                        const double *costs, double *cost, double *octave, int32_t *back,
                        int32_t *best)
{
    enum { STATES = CANDIDATES + 1 };
    for (ptrdiff_t t = 0; t < frames; t++) {
        const double *f = frequency + t * CANDIDATES, *v = voicing + t * CANDIDATES;
        double next[STATES], here[CANDIDATES], least = INFINITY, strongest = 0.0;
        for (int c = 0; c < CANDIDATES; c++) {
            here[c] = f[c] > 0.0 ? log2(f[c]) : 0.0;
            strongest = v[c] > strongest ? v[c] : strongest;
        }
        for (int to = 0; to < STATES; to++) {
            double own = costs[3] + (strongest >= costs[1] ? costs[4] : 0.0);
            if (to < CANDIDATES)
                own = own_cost(f[to], v[to], costs);
            double lowest = INFINITY, before = 0.0;
            for (int from = 0; from < STATES; from++) {
                double way = cost[from];
                if (from < CANDIDATES && to < CANDIDATES) {
                    if (octave[from] > 0.0) {
                        double jump = here[to] - octave[from];
                        way += costs[5] * (fabs(jump) + fabs(jump - before));
                        before = jump;
                    }
                } else if (from != to)
                    way += costs[6];
                if (way < lowest) {
                    lowest = way;
                    back[t * STATES + to] = from;
                }
            }
            next[to] = lowest + own;
            if (next[to] < least) {
                least = next[to];
                best[t] = to;
            }
        }
        for (int s = 0; s < STATES; s++)
            cost[s] = next[s] - least;
        for (int c = 0; c < CANDIDATES; c++)
            octave[c] = here[c];
    }
}

/* The states of the first frames, each as the best path some frames later (or the last) has it. */
EXPORT void trace_path(const int32_t *back, const int32_t *best, ptrdiff_t frames,
                       ptrdiff_t decided, ptrdiff_t ahead, int32_t *states)
{
    for (ptrdiff_t t = 0; t < decided; t++) {
        ptrdiff_t from = t + ahead < frames - 1 ? t + ahead : frames - 1;
        int32_t state = best[from];
        for (; from > t; from--)
            state = back[from * (CANDIDATES + 1) + state];
        states[t] = state;
    }
}

enum { LONGEST = 1088 }; /* samples, over 1.25 of a period of 52 Hz */

/* sum_k x[k] x[k + lag], k < lag, of the 64 lags from `low` on. */
INLINE void self_products(const float *x, ptrdiff_t low, float *products)
{
    Lanes sums[4] = {{0}};
    for (ptrdiff_t begin = 0; begin < low; begin += 32) { /* in parts, which round less */
        ptrdiff_t end = begin + 32 < low ? begin + 32 : low;
        Sums part = {{0}, {0}, {0}, {0}};
        for (ptrdiff_t k = begin; k < end; k++)
            add(&part, x[k], x + k + low);
        sums[0] += part.a;
        sums[1] += part.b;
        sums[2] += part.c;
        sums[3] += part.d;
    }
    const Choice order = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    for (int32_t k = 0; k < 63; k++) { /* x[low + k] counts for lags over low + k only */
        for (int i = (k + 1) / 16; i < 4; i++) {
            Choice counts = order + 16 * i > k;
            Lanes more = x[low + k] * lanes(x + low + k + low + 16 * i);
            sums[i] += (Lanes)((Choice)more & counts);
        }
    }
    memcpy(products, sums, sizeof sums);
}

typedef struct {
    ptrdiff_t lag;   /* whole samples */
    double length;   /* interpolated */
    double likeness; /* Pearson's r of the period and the next; 0 if the lag is only a guess */
} Period;

/* The lag within a quarter of the expected one at which what begins here repeats best. */
INLINE Period next_period(const float *samples, double expected)
{
    double sums[2 * LONGEST + 1], squares[2 * LONGEST + 1], r[LONGEST + 1];
    float products[LONGEST + 1];
    ptrdiff_t low = (ptrdiff_t)floor(0.75 * expected), high = (ptrdiff_t)ceil(1.25 * expected);
    sums[0] = squares[0] = 0.0;
    for (ptrdiff_t k = 0; k < 2 * high; k++) {
        sums[k + 1] = sums[k] + samples[k];
        squares[k + 1] = squares[k] + (double)samples[k] * samples[k];
    }
    for (ptrdiff_t lag = low; lag <= high; lag += 64) {
        ptrdiff_t first = lag < high - 63 ? lag : high - 63; /* 27 at least */
        self_products(samples, first, products + first);
    }
    for (ptrdiff_t lag = low; lag <= high; lag++) {
        double n = (double)lag, here = sums[lag], there = sums[2 * lag] - sums[lag];
        double spread = squares[lag] - here * here / n;
        spread *= squares[2 * lag] - squares[lag] - there * there / n;
        double product = products[lag] - here * there / n;
        r[lag] = spread > 1e-20 ? product / sqrt(spread) : 0.0;
    }
    Period found = {(ptrdiff_t)rint(expected), rint(expected), 0.0};
    for (ptrdiff_t lag = low + 1; lag < high; lag++) {
        if (r[lag] > r[lag - 1] && r[lag] >= r[lag + 1] && r[lag] > found.likeness) {
            double bend = r[lag - 1] - 2.0 * r[lag] + r[lag + 1];
            double offset = bend < 0.0 ? 0.5 * (r[lag - 1] - r[lag + 1]) / bend : 0.0;
            found = (Period){lag, (double)lag + offset, r[lag]};
        }
    }
    return found;
}

/* Peak to peak amplitude, the ends left out. */
INLINE double swing(const float *samples, ptrdiff_t count)
{
    enum { LANES = 16 };
    float low[LANES], high[LANES];
    ptrdiff_t k = 1;
    for (int i = 0; i < LANES; i++)
        low[i] = high[i] = samples[1];
    for (; k + LANES < count; k += LANES) {
        for (int i = 0; i < LANES; i++) {
            low[i] = samples[k + i] < low[i] ? samples[k + i] : low[i];
            high[i] = samples[k + i] > high[i] ? samples[k + i] : high[i];
        }
    }
    float least = low[0], most = high[0];
    for (; k < count - 1; k++) {
        least = samples[k] < least ? samples[k] : least;
        most = samples[k] > most ? samples[k] : most;
    }
    for (int i = 1; i < LANES; i++) {
        least = low[i] < least ? low[i] : least;
        most = high[i] > most ? high[i] : most;
    }
    return (double)most - least;
}

/* Energy of the periods' mean over that of their deviations from it, in dB. */
INLINE double harmonics_to_noise(const float *samples, const ptrdiff_t *begins, int count,
                                 ptrdiff_t width)
{
    float mean[LONGEST] = {0}, rest[LONGEST];
    for (int i = 0; i < count; i++)
        for (ptrdiff_t k = 0; k < width; k++)
            mean[k] += samples[begins[i] + k];
    for (ptrdiff_t k = 0; k < width; k++)
        mean[k] /= (float)count;
    double energy = count * (double)dot(mean, mean, width), noise = 0.0;
    for (int i = 0; i < count; i++) {
        for (ptrdiff_t k = 0; k < width; k++)
            rest[k] = samples[begins[i] + k] - mean[k];
        noise += dot(rest, rest, width);
    }
    return energy > 0.0 && noise > 0.0 ? 10.0 * log10(energy / noise) : 0.0;
}

/* Describe frames by the periods found in them, see voicing.Periods.

   `samples` begin at number `origin`, `f0` at frame `first`. `state`, carried on: where the next
   period begins; length of the last period in this voiced stretch, 0 if there is none; its
   difference to the one before, 0 if there is none; the last frame's four values. */
EXPORT FAST void follow_periods(const float *samples, ptrdiff_t count, ptrdiff_t origin,
                                const double *f0, ptrdiff_t frames, ptrdiff_t first, double rate,
                                double step, double least_likeness, double unvoiced, double *state,
                                double *values)
{
    enum { MOST = 64 }; /* periods a frame: 620 Hz gives 36 at most */
    for (ptrdiff_t t = 0; t < frames; t++) {
        double now = step * (double)(first + t), *held = state + 3, *out = values + 4 * t;
        if (f0[t] <= 0.0) {
            state[0] = state[0] < now + step ? now + step : state[0];
            state[1] = state[2] = 0.0;
            held[0] = held[1] = held[2] = 0.0;
            held[3] = unvoiced;
            for (int i = 0; i < 4; i++)
                out[i] = held[i];
            continue;
        }
        double expected = rate / f0[t], longest = 2.0 * ceil(1.25 * expected);
        double end = state[0] + longest > now + step ? state[0] + longest : now + step;
        double lengths = 0.0, steps = 0.0, bends = 0.0, changes = 0.0, swings = 0.0;
        ptrdiff_t begins[MOST + 1];
        int all = 0, found = 0, compared = 0;
        if (state[0] <= now) {
            while (state[0] + longest <= end && all < MOST
                   && state[0] + longest <= (double)(origin + count)) {
                ptrdiff_t begin = (ptrdiff_t)state[0] - origin;
                Period period = next_period(samples + begin, expected);
                state[0] += (double)period.lag;
                begins[all++] = begin;
                begins[all] = begin + period.lag;
                if (period.likeness < least_likeness)
                    continue;
                found++;
                lengths += period.length;
                double here = swing(samples + begin, period.lag);
                double there = swing(samples + begin + period.lag, period.lag);
                changes += fabs(here - there);
                swings += 0.5 * (here + there);
                if (state[1] > 0.0) {
                    double difference = fabs(period.length - state[1]);
                    steps += difference;
                    if (state[2] > 0.0) {
                        bends += fabs(difference - state[2]);
                        compared++;
                    }
                    state[2] = difference;
                }
                state[1] = period.length;
            }
        }
        if (found) {
            double mean = lengths / found;
            held[0] = fmin(steps / found / mean, 1.0);
            held[1] = compared ? fmin(bends / compared / mean, 1.0) : 0.0;
            held[2] = swings > 0.0 ? fmin(changes / swings, 1.0) : 0.0;
        }
        if (all)
            held[3] = harmonics_to_noise(samples, begins, all + 1, (ptrdiff_t)expected);
        for (int i = 0; i < 4; i++)
            out[i] = held[i];
        if (!all)
            out[0] = out[1] = 0.0;
    }
}
