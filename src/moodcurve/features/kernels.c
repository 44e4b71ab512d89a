/* The loops of the extractor that numpy cannot do at once; see kernels.py for what they compute.

   C99 with the vector types of gcc and clang, no Python in it. Compiled once for each generation of
   processors (hatch_build.py); they differ in the order of some sums only. Arrays are C-contiguous,
   their sizes those that kernels.py gives. Where a loop's steps depend on one another, as many
   frames as the processor takes floats at once go through it side by side. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "../lanes.h"

enum { SHORT_BINS = 513, LONG_BINS = 2049, POINTS = 2049, CANDIDATES = 6, REACH = 12 };
enum { ROOM = 2080 }; /* for 2049 in fours; rows of it begin in different lines of the cache */
enum { FARTHEST = 832 }; /* points, no harmonic is shifted farther */

INLINE Lanes where(Choice which, Lanes value)
{
    return (Lanes)((Choice)value & which);
}

INLINE int any(Choice which)
{
    int64_t parts[LANES / 2], all = 0;
    memcpy(parts, &which, sizeof parts);
    for (int i = 0; i < LANES / 2; i++)
        all |= parts[i];
    return all != 0;
}

/* Rows, as many as lanes, side by side: beside[k] is the k-th value of each. Of fewer than that
   the last is repeated. */
INLINE void side_by_side(const float *rows, ptrdiff_t width, ptrdiff_t count, ptrdiff_t length,
                         Lanes *beside)
{
    for (ptrdiff_t k = 0; k < length; k += LANES) {
        ptrdiff_t first = k < length - LANES ? k : length - LANES;
        for (ptrdiff_t i = 0; i < LANES; i++)
            beside[first + i] = lanes(rows + (i < count ? i : count - 1) * width + first);
        transpose(beside + first);
    }
}

/* And back; of the rows the first `count`. */
INLINE void one_by_one(const Lanes *beside, ptrdiff_t length, float *rows, ptrdiff_t width,
                       ptrdiff_t count)
{
    for (ptrdiff_t k = 0; k < length; k += LANES) {
        ptrdiff_t first = k < length - LANES ? k : length - LANES;
        Lanes square[LANES];
        memcpy(square, beside + first, sizeof square);
        transpose(square);
        for (ptrdiff_t i = 0; i < LANES && i < count; i++)
            memcpy(rows + i * width + first, square + i, sizeof *square);
    }
}

INLINE float dot(const float *a, const float *b, ptrdiff_t n)
{
    enum { PARTS = 32 };
    float sums[PARTS] = {0}, sum = 0.0f;
    ptrdiff_t k = 0;
    for (; k + PARTS <= n; k += PARTS)
        for (int i = 0; i < PARTS; i++)
            sums[i] += a[k + i] * b[k + i];
    for (; k < n; k++)
        sum += a[k] * b[k];
    for (int half = PARTS / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            sums[i] += sums[i + half];
    return sum + sums[0];
}

INLINE double sum(const float *a, ptrdiff_t n)
{
    enum { PARTS = 32 };
    float sums[PARTS] = {0};
    double total = 0.0;
    ptrdiff_t k = 0;
    for (; k + PARTS <= n; k += PARTS)
        for (int i = 0; i < PARTS; i++)
            sums[i] += a[k + i];
    for (; k < n; k++)
        total += a[k];
    for (int i = 0; i < PARTS; i++)
        total += sums[i];
    return total;
}

/* Magnitudes side by side, reduced to the neighbourhood of peaks, smoothed by (1, 2, 1) / 4 and
   turned to the coefficients of the cubic spline through them; the spectra's energies are returned.

   `sharpen` are 2 REACH + 1 taps; beyond its ends the spectrum goes on point-symmetrically. */
INLINE Lanes reduce_to_peaks(const Lanes *magnitude, const float *sharpen, Lanes *coefficients)
{
    enum { LAST = LONG_BINS - 1 };
    Lanes padded[ROOM + 2 * REACH] = {{0}}, *kept = padded + REACH, energy = {0};
    Choice peak[LONG_BINS + 4] = {{0}}; /* two beside either end */
    for (int k = 0; k < LONG_BINS; k += 32) { /* in parts, which round less */
        Lanes part = {0};
        for (int i = k; i < k + 32 && i < LONG_BINS; i++)
            part += magnitude[i] * magnitude[i];
        energy += part;
    }
    for (int k = 1; k < LAST; k++)
        peak[k + 2] = (magnitude[k] > magnitude[k - 1]) & (magnitude[k] >= magnitude[k + 1]);
    Lanes left = {0}, middle = {0}, right = {0}; /* what is kept of bins k - 2, k - 1 and k */
    for (int k = 0; k < LONG_BINS; k++) {
        Choice near = peak[k] | peak[k + 1] | peak[k + 2] | peak[k + 3] | peak[k + 4];
        left = middle;
        middle = right;
        right = where(near, magnitude[k]);
        if (k >= 2)
            kept[k - 1] = (left + 2.0f * middle + right) / 4.0f;
        else if (k == 0)
            kept[0] = right;
    }
    kept[LAST] = right;
    for (int k = 1; k <= REACH; k++) {
        kept[-k] = 2.0f * kept[0] - kept[k];
        kept[LAST + k] = 2.0f * kept[LAST] - kept[LAST - k];
    }
    for (int k = 0; k < LONG_BINS; k += 4) { /* four sums do not wait for one another */
        Lanes sums[4] = {{0}};
        for (int i = 0; i <= 2 * REACH; i++)
            for (int j = 0; j < 4; j++)
                sums[j] += sharpen[i] * padded[k + i + j];
        memcpy(coefficients + k, sums, sizeof sums);
    }
    return energy;
}

/* Sub-harmonic sums side by side, from the spline's coefficients on; 0 where `counts` is not. */
INLINE void add_harmonics(const Lanes *spline, Choice counts, const int32_t *first,
                          const float *taps, int harmonics, const int32_t *shifts,
                          const float *weights, Lanes *total)
{
    Lanes axis[ROOM + FARTHEST];
    memset(axis + POINTS, 0, (ROOM + FARTHEST - POINTS) * sizeof *axis);
    for (int j = 0; j < POINTS; j++) {
        const Lanes *k = spline + first[j];
        Lanes value = taps[j] * k[0] + taps[POINTS + j] * k[1] + taps[2 * POINTS + j] * k[2]
                      + taps[3 * POINTS + j] * k[3];
        axis[j] = where((value > 0.0f) & counts, value);
    }
    for (int j = 0; j < POINTS; j += 4) {
        Lanes sums[4];
        memcpy(sums, axis + j, sizeof sums);
        for (int h = 1; h < harmonics; h++)
            for (int i = 0; i < 4; i++)
                sums[i] += weights[h] * axis[j + shifts[h] + i];
        memcpy(total + j, sums, sizeof sums);
    }
}

EXPORT void subharmonic_sums(const float *spectra, ptrdiff_t frames, const float *sharpen,
                                  const int32_t *first, const float *taps, ptrdiff_t harmonics,
                                  const int32_t *shifts, const float *weights, float faint,
                                  float *totals)
{
    float magnitudes[LANES * ROOM];
    Lanes beside[ROOM], spline[ROOM];
    for (ptrdiff_t t = 0; t < frames; t += LANES) {
        ptrdiff_t count = frames - t < LANES ? frames - t : LANES;
        for (ptrdiff_t i = 0; i < count; i++) {
            const float *x = spectra + (t + i) * 2 * LONG_BINS;
            for (int k = 0; k < LONG_BINS; k++)
                magnitudes[i * ROOM + k] = sqrtf(x[2 * k] * x[2 * k] + x[2 * k + 1] * x[2 * k + 1]);
        }
        side_by_side(magnitudes, ROOM, count, LONG_BINS, beside);
        Choice loud = reduce_to_peaks(beside, sharpen, spline) >= faint;
        add_harmonics(spline, loud, first, taps, (int)harmonics, shifts, weights, beside);
        one_by_one(beside, POINTS, totals + t * POINTS, POINTS, count);
    }
}

/* The points of the highest inner peaks of one total, highest first; returns how many. */
INLINE int highest_peaks(const float *total, int *best)
{
    enum { GLANCE = 4 * LANES }; /* points of which it is first seen whether any is one */
    int found = 0;
    float least = -INFINITY; /* that a peak must exceed; most points do not */
    for (int first = 1; first < POINTS - 1; first += GLANCE) {
        int end = first + GLANCE < POINTS - 1 ? first + GLANCE : POINTS - 1;
        Choice some = {0};
        for (int j = first; j + LANES < POINTS && j < end; j += LANES)
            some |= (lanes(total + j) > least) & (lanes(total + j) > lanes(total + j - 1))
                    & (lanes(total + j) >= lanes(total + j + 1));
        if (end - first == GLANCE && !any(some))
            continue;
        for (int j = first; j < end; j++) {
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
    }
    return found;
}

/* See voicing.candidates: frequency and voicing (frames, CANDIDATES), 0 where there are fewer. */
EXPORT void pitch_candidates(const float *totals, ptrdiff_t frames, const double *axis,
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

/* Weighted sums of each row's `bins` values; of `weights` (count, bins) only what lies between the
   first and the last that is not 0 is looked at. */
EXPORT void weighted_sums(const float *rows, ptrdiff_t frames, ptrdiff_t bins,
                          const double *weights, ptrdiff_t count, double *sums)
{
    enum { PARTS = 16 };
    for (ptrdiff_t i = 0; i < count; i++) {
        const double *w = weights + i * bins;
        ptrdiff_t begin = 0, end = bins;
        while (begin < bins && w[begin] == 0.0)
            begin++;
        while (end > begin && w[end - 1] == 0.0)
            end--;
        for (ptrdiff_t t = 0; t < frames; t++) {
            const float *x = rows + t * bins;
            double parts[PARTS] = {0};
            ptrdiff_t k = begin;
            for (; k + PARTS <= end; k += PARTS)
                for (int j = 0; j < PARTS; j++)
                    parts[j] += w[k + j] * (double)x[k + j];
            for (int j = 0; k + j < end; j++)
                parts[j] += w[k + j] * (double)x[k + j];
            for (int half = PARTS / 2; half > 0; half /= 2)
                for (int j = 0; j < half; j++)
                    parts[j] += parts[j + half];
            sums[t * count + i] = parts[0];
        }
    }
}

/* Mean square change of the magnitudes since the frame before, without the constant's. */
EXPORT void mean_square_change(const float *power, const float *previous, ptrdiff_t frames,
                               double *changes)
{
    enum { BINS = SHORT_BINS - 1 };
    float before[BINS], change[BINS];
    for (int k = 0; k < BINS; k++)
        before[k] = sqrtf(previous[1 + k]);
    for (ptrdiff_t t = 0; t < frames; t++) {
        for (int k = 0; k < BINS; k++) {
            float now = sqrtf(power[t * SHORT_BINS + 1 + k]);
            change[k] = now - before[k];
            before[k] = now;
        }
        changes[t] = (double)dot(change, change, BINS) / BINS;
    }
}

/* log2 of positive numbers: of 2^e m, m about 1, e + 2 / ln 2 artanh((m - 1) / (m + 1)). */
INLINE Lanes log_2(Lanes x)
{
    enum { ROOT_HALF = 0x3f3504f3 }; /* the bits of sqrt(1 / 2), the least m */
    Choice exponent = ((Choice)x - ROOT_HALF) >> 23;
    Lanes m = (Lanes)((Choice)x - (exponent << 23)), u = (m - 1.0f) / (m + 1.0f), square = u * u;
    Lanes series = 1.0f / 5 + square * (1.0f / 7 + square * (1.0f / 9));
    series = u + u * (square * (1.0f / 3 + square * series));
    return __builtin_convertvector(exponent, Lanes) + 2.885390082f * series;
}

/* Entropy in bits of each frame's power without its constant, see spectral.entropy. */
EXPORT void entropies(const float *power, ptrdiff_t frames, float least, double *bits)
{
    enum { BINS = SHORT_BINS - 1 };
    for (ptrdiff_t t = 0; t < frames; t++) {
        const float *p = power + t * SHORT_BINS + 1;
        float terms[BINS], total = (float)sum(p, BINS);
        for (int k = 0; k < BINS; k += LANES) {
            Lanes here = lanes(p + k), floor = here * 0.0f + least;
            Lanes share = choose(here > floor, here, floor) / (total > 0.0f ? total : least);
            share *= log_2(share);
            memcpy(terms + k, &share, sizeof share);
        }
        bits[t] = -sum(terms, BINS);
    }
}

/* Up-and-down way between successive extrema of each frame's power, see spectral.harmonicity. */
EXPORT void up_and_down(const float *power, ptrdiff_t frames, double *ways)
{
    Lanes p[SHORT_BINS];
    for (ptrdiff_t t = 0; t < frames; t += LANES) {
        ptrdiff_t count = frames - t < LANES ? frames - t : LANES;
        side_by_side(power + t * SHORT_BINS, SHORT_BINS, count, SHORT_BINS, p);
        double way[LANES] = {0};
        Lanes last = {0};
        Choice begun = {0};
        for (int k = 3; k < SHORT_BINS - 2; k++) {
            Lanes x = p[k];
            Choice extreme = (x > p[k - 2]) & (x > p[k - 1]) & (x > p[k + 1]) & (x > p[k + 2]);
            extreme |= (x < p[k - 2]) & (x < p[k - 1]) & (x < p[k + 1]) & (x < p[k + 2]);
            Lanes from = choose(extreme & begun, last, x);
            for (int i = 0; i < LANES; i++)
                way[i] += fabs((double)x[i] - (double)from[i]);
            last = choose(extreme, x, last);
            begun |= extreme;
        }
        memcpy(ways + t, way, (size_t)count * sizeof *ways);
    }
}

/* First bin (1 is the first that counts) up to which each share of the power lies. */
EXPORT void roll_off_bins(const float *power, ptrdiff_t frames, const double *shares,
                               ptrdiff_t count, int32_t *found)
{
    Lanes p[SHORT_BINS];
    double running[SHORT_BINS][LANES] = {{0}};
    for (ptrdiff_t t = 0; t < frames; t += LANES) {
        ptrdiff_t rows = frames - t < LANES ? frames - t : LANES;
        side_by_side(power + t * SHORT_BINS, SHORT_BINS, rows, SHORT_BINS, p);
        for (int k = 1; k < SHORT_BINS; k++)
            for (int i = 0; i < LANES; i++)
                running[k][i] = running[k - 1][i] + (double)p[k][i];
        for (ptrdiff_t s = 0; s < count; s++) {
            double share[LANES];
            int64_t below[LANES] = {0};
            for (int i = 0; i < LANES; i++)
                share[i] = shares[s] * running[SHORT_BINS - 1][i];
            for (int k = 1; k < SHORT_BINS - 1; k++)
                for (int i = 0; i < LANES; i++)
                    below[i] += running[k][i] < share[i];
            for (ptrdiff_t i = 0; i < rows; i++)
                found[(t + i) * count + s] = 1 + (int32_t)below[i];
        }
    }
}

/* Sums of the squares of each `step` samples. */
EXPORT void energies(const float *samples, ptrdiff_t steps, ptrdiff_t step, double *energy)
{
    enum { PARTS = 16 };
    for (ptrdiff_t t = 0; t < steps; t++) {
        const float *x = samples + t * step;
        double parts[PARTS] = {0}, total = 0.0;
        ptrdiff_t k = 0;
        for (; k + PARTS <= step; k += PARTS)
            for (int j = 0; j < PARTS; j++)
                parts[j] += (double)x[k + j] * (double)x[k + j];
        for (; k < step; k++)
            total += (double)x[k] * (double)x[k];
        for (int j = 0; j < PARTS; j++)
            total += parts[j];
        energy[t] = total;
    }
}

/* Those among `count` samples that differ in sign from the one before, or are zero between two that
   have not one sign. */
INLINE int32_t crossings(const float *x, ptrdiff_t count)
{
    int32_t found = 0;
    for (ptrdiff_t k = 0; k < count; k++)
        found += (x[k - 1] * x[k] < 0.0f) | ((x[k] == 0.0f) & (x[k - 1] * x[k + 1] <= 0.0f));
    return found;
}

/* Crossings in each frame of `length` samples, its first and last left out. */
EXPORT void zero_crossings(const float *samples, ptrdiff_t frames, ptrdiff_t step,
                           ptrdiff_t length, int32_t *found)
{
    found[0] = crossings(samples + 1, length - 2);
    for (ptrdiff_t t = 1; t < frames; t++) {
        const float *passed = samples + (t - 1) * step + 1;
        found[t] = found[t - 1] - crossings(passed, step) + crossings(passed + length - 2, step);
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

enum { LAGS = 4 * LANES }; /* whose products are made at once, in registers */

/* sum_k x[k] x[k + lag], k < lag, of the LAGS lags from `low` on. */
INLINE void self_products(const float *x, ptrdiff_t low, float *products)
{
    Lanes sums[4] = {{0}};
    ptrdiff_t begin = 0;
    for (; begin + LAGS <= low; begin += LAGS) { /* what is loaded serves four samples */
        Lanes even[4] = {{0}}, odd[4] = {{0}};
        for (ptrdiff_t k = begin; k < begin + LANES; k++) {
            Lanes then[7];
            for (int i = 0; i < 7; i++)
                then[i] = lanes(x + k + low + LANES * i);
            for (int i = 0; i < 4; i++) {
                even[i] += x[k] * then[i];
                odd[i] += x[k + LANES] * then[i + 1];
                even[i] += x[k + 2 * LANES] * then[i + 2];
                odd[i] += x[k + 3 * LANES] * then[i + 3];
            }
        }
        for (int i = 0; i < 4; i++)
            sums[i] += even[i] + odd[i];
    }
    for (ptrdiff_t k = begin; k < low; k++)
        for (int i = 0; i < 4; i++)
            sums[i] += x[k] * lanes(x + k + low + LANES * i);
    Choice order; /* the samples beyond `low` count for some lags only: low + k for those over it */
    for (int i = 0; i < LANES; i++)
        order[i] = i;
    for (int32_t k = 0; k < LANES; k++) {
        Lanes then[7] = {{0}};
        for (int i = 0; i < 6; i++)
            then[i] = lanes(x + low + k + low + LANES * i);
        if (k < LANES - 1)
            then[6] = lanes(x + low + k + low + LANES * 6);
#pragma GCC unroll 4
        for (int j = 0; j < 4; j++) {
            sums[j] += where(order > k, x[low + k + LANES * j] * then[2 * j]);
#pragma GCC unroll 4
            for (int i = j + 1; i < 4; i++)
                sums[i] += x[low + k + LANES * j] * then[i + j];
        }
    }
    memcpy(products, sums, sizeof sums);
}

typedef struct {
    ptrdiff_t lag;   /* whole samples */
    double length;   /* interpolated */
    double likeness; /* Pearson's r of the period and the next; 0 if the lag is only a guess */
} Period;

/* Running sums of samples and of their squares, count + 1 each; in fours, which wait less. */
INLINE void running_sums(const float *samples, ptrdiff_t count, double *sums, double *squares)
{
    double sum = 0.0, square = 0.0;
    ptrdiff_t k = 0;
    for (; k + 4 <= count; k += 4) {
        double a = samples[k], b = samples[k + 1], c = samples[k + 2], d = samples[k + 3];
        double ab = a + b, squares_ab = a * a + b * b;
        sums[k] = sum;
        sums[k + 1] = sum + a;
        sums[k + 2] = sum + ab;
        sums[k + 3] = sum + (ab + c);
        squares[k] = square;
        squares[k + 1] = square + a * a;
        squares[k + 2] = square + squares_ab;
        squares[k + 3] = square + (squares_ab + c * c);
        sum += ab + (c + d);
        square += squares_ab + (c * c + d * d);
    }
    for (; k < count; k++) {
        sums[k] = sum;
        squares[k] = square;
        sum += samples[k];
        square += (double)samples[k] * samples[k];
    }
    sums[count] = sum;
    squares[count] = square;
}

/* The lag within a quarter of the expected one at which what begins here repeats best. */
INLINE Period next_period(const float *samples, double expected)
{
    double sums[2 * LONGEST + 1], squares[2 * LONGEST + 1], r[LONGEST + 1];
    float products[LONGEST + 1];
    ptrdiff_t low = (ptrdiff_t)floor(0.75 * expected), high = (ptrdiff_t)ceil(1.25 * expected);
    running_sums(samples, 2 * high, sums, squares);
    for (ptrdiff_t lag = low; lag <= high; lag += LAGS) {
        ptrdiff_t first = lag <= high - LAGS ? lag : high + 1 - LAGS; /* 27 at least */
        self_products(samples, first, products + first);
    }
    for (ptrdiff_t lag = low; lag <= high; lag++) {
        double share = 1.0 / (double)lag, here = sums[lag], there = sums[2 * lag] - sums[lag];
        double spread = squares[lag] - here * here * share;
        spread *= squares[2 * lag] - squares[lag] - there * there * share;
        double product = products[lag] - here * there * share;
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
EXPORT void follow_periods(const float *samples, ptrdiff_t count, ptrdiff_t origin,
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

/* Of each of `filters` filters over `taps` frames and `bands` neighbouring bands, the highest answer
   over all places in frequency: for t < count, the maximum over p < places of
   sum_(i, j) kernel[d][i][j] rows[t + i][p + j]. Rows are `width` long and have room for 2 LANES
   more places than there are. */
enum { BESIDE = 4 }; /* filters, and half as many vectors of places, that go through side by side */

INLINE void answers(const float *rows, ptrdiff_t width, ptrdiff_t taps, ptrdiff_t bands,
                    const float *kernel, ptrdiff_t filters, Lanes sums[BESIDE][2])
{
    memset(sums, 0, BESIDE * sizeof *sums);
    ptrdiff_t next = taps * bands;
    const float *own[BESIDE];
    for (ptrdiff_t d = 0; d < BESIDE; d++)
        own[d] = kernel + (d < filters ? d : filters - 1) * next;
    for (ptrdiff_t i = 0; i < taps; i++)
        for (ptrdiff_t j = 0; j < bands; j++) {
            Lanes low = lanes(rows + i * width + j), high = lanes(rows + i * width + j + LANES);
            for (int d = 0; d < BESIDE; d++) {
                float weight = own[d][i * bands + j];
                sums[d][0] += weight * low;
                sums[d][1] += weight * high;
            }
        }
}

EXPORT void highest_answers(const float *rows, ptrdiff_t count, ptrdiff_t width, ptrdiff_t places,
                            ptrdiff_t taps, ptrdiff_t bands, const float *kernel,
                            ptrdiff_t filters, float *highest)
{
    for (ptrdiff_t t = 0; t < count; t++)
        for (ptrdiff_t d = 0; d < filters; d += BESIDE) {
            ptrdiff_t some = filters - d < BESIDE ? filters - d : BESIDE;
            for (ptrdiff_t p = 0; p < places; p += 2 * LANES) {
                Lanes sums[BESIDE][2];
                answers(rows + t * width + p, width, taps, bands, kernel + d * taps * bands, some,
                        sums);
                for (ptrdiff_t e = 0; e < some; e++) {
                    float values[2 * LANES], *own = highest + t * filters + d + e;
                    memcpy(values, sums[e], sizeof values);
                    for (ptrdiff_t k = 0; k < 2 * LANES && p + k < places; k++)
                        if ((p == 0 && k == 0) || values[k] > *own)
                            *own = values[k];
                }
            }
        }
}

/* Products of windows of `size` values, `step` apart, with each of `columns` columns of weights:
   out[t][d] = sum_k values[t step + k] weights[k][d]. Columns come in multiples of 16. */
EXPORT void sliding_products(const float *values, ptrdiff_t count, ptrdiff_t step, ptrdiff_t size,
                             const float *weights, ptrdiff_t columns, float *out)
{
    enum { WINDOWS = 4, VECTORS = 16 / LANES };
    for (ptrdiff_t first = 0; first < count; first += WINDOWS)
        for (ptrdiff_t d = 0; d < columns; d += 16) {
            Lanes sums[WINDOWS][VECTORS];
            const float *own[WINDOWS];
            memset(sums, 0, sizeof sums);
            for (ptrdiff_t t = 0; t < WINDOWS; t++)
                own[t] = values + (first + t < count ? first + t : count - 1) * step;
            for (ptrdiff_t k = 0; k < size; k++)
                for (int v = 0; v < VECTORS; v++) {
                    Lanes column = lanes(weights + k * columns + d + v * LANES);
                    for (int t = 0; t < WINDOWS; t++)
                        sums[t][v] += own[t][k] * column;
                }
            for (ptrdiff_t t = 0; t < WINDOWS && first + t < count; t++)
                memcpy(out + (first + t) * columns + d, sums[t], sizeof sums[t]);
        }
}
