/* One BLSTM layer of several networks, forward and backward; see cells.py for what it computes.

   C99 with the vector types of gcc and clang, no Python in it, one thread. The matrix products are
   its own: they are small, follow one another step by step, and what a library would do between
   them (copies of both directions, gates written and read again) costs as much as they do. So each
   step's products of inputs and memory are one, and the cell is computed on its sums while they
   are in the nearest cache.

   Letters as in network.py: T steps, B sequences, P inputs, H units a direction, D directions.
   `width` is H rounded up to 16. The gates of a row lie in blocks of as many units as a vector has
   lanes: z, i, f, o of the first block, then of the next. What rounding up adds is 0 throughout. */

#include <stddef.h>

#include "../lanes.h"

enum { GATES = 4, WIDE = 4 };                /* vectors in a row of a tile */
enum { ROWS = LANES == 16 ? 6 : 3 };         /* rows of a tile: its sums fill the registers */
enum { PANEL = WIDE * LANES, CHUNK = 128 };  /* rows of a panel that stay in the nearest cache */

typedef struct {
    ptrdiff_t networks, directions, steps, batch, inputs, units;
} Shape;

/* Of one network: weights (D, 4H, P), bias (D, 4H), recurrent (D, 4H, H), peepholes (D, 3, H). */
typedef struct {
    float *weights, *bias, *recurrent, *peepholes;
} Parameters;

typedef Lanes Tile[ROWS][WIDE];

/* ---- products ------------------------------------------------------------------------------- */

/* tile += a @ b: `a` (rows, count) lies at distances `row` and `step`, `b` is a panel. */
INLINE void multiply_sized(int rows, int wide, const float *a, ptrdiff_t row, ptrdiff_t step,
                           const float *b, ptrdiff_t count, Lanes (*tile)[WIDE])
{
    Lanes sums[ROWS][WIDE];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < wide; v++)
            sums[r][v] = tile[r][v];
    for (ptrdiff_t k = 0; k < count; k++, a += step, b += wide * LANES) {
        Lanes across[WIDE];
#pragma GCC unroll 8
        for (int v = 0; v < wide; v++)
            across[v] = lanes(b + v * LANES);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
            for (int v = 0; v < wide; v++)
                sums[r][v] += a[r * row] * across[v];
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < wide; v++)
            tile[r][v] = sums[r][v];
}

typedef void Multiply(const float *, ptrdiff_t, ptrdiff_t, const float *, ptrdiff_t,
                      Lanes (*)[WIDE]);

#define SIZED(rows, wide)                                                                          \
    static void multiply_##rows##_##wide(const float *a, ptrdiff_t row, ptrdiff_t step,            \
                                         const float *b, ptrdiff_t count, Lanes(*tile)[WIDE])      \
    {                                                                                              \
        multiply_sized(rows, wide, a, row, step, b, count, tile);                                  \
    }
#define SIZED_ROWS(rows) SIZED(rows, 1) SIZED(rows, 2) SIZED(rows, 3) SIZED(rows, 4)
#define NAMED_ROWS(rows)                                                                           \
    {multiply_##rows##_1, multiply_##rows##_2, multiply_##rows##_3, multiply_##rows##_4}

SIZED_ROWS(1)
SIZED_ROWS(2)
SIZED_ROWS(3)
#if LANES == 16
SIZED_ROWS(4)
SIZED_ROWS(5)
SIZED_ROWS(6)
#endif

static Multiply *const multiply[ROWS][WIDE] = {
    NAMED_ROWS(1), NAMED_ROWS(2), NAMED_ROWS(3),
#if LANES == 16
    NAMED_ROWS(4), NAMED_ROWS(5), NAMED_ROWS(6),
#endif
};

/* Cut `count` into the fewest parts of at most `most`, of nearly the same size. */
INLINE ptrdiff_t parts(ptrdiff_t count, ptrdiff_t most)
{
    return (count + most - 1) / most;
}

INLINE ptrdiff_t rounded(ptrdiff_t count, ptrdiff_t to)
{
    return parts(count, to) * to;
}

INLINE ptrdiff_t least(ptrdiff_t a, ptrdiff_t b)
{
    return a < b ? a : b;
}

INLINE void store(float *to, Lanes values, ptrdiff_t count)
{
    if (count >= LANES)
        memcpy(to, &values, sizeof values);
    else
        memcpy(to, &values, count * sizeof *to);
}

/* Write a row's columns from `first` on, `wide` vectors, 0 beyond the last of `columns`. */
INLINE void pack_row(const float *row, ptrdiff_t first, ptrdiff_t columns, int wide, float *to)
{
    for (int v = 0; v < wide; v++, first += LANES, to += LANES) {
        Lanes values = {0};
        if (row && first + LANES <= columns)
            values = lanes(row + first);
        else if (row && first < columns)
            memcpy(&values, row + first, (columns - first) * sizeof *row);
        memcpy(to, &values, sizeof values);
    }
}

/* Columns come in panels of up to WIDE vectors: of `columns`, the vectors before panel p. */
INLINE ptrdiff_t before(ptrdiff_t p, ptrdiff_t columns)
{
    ptrdiff_t vectors = parts(columns, LANES);
    return p * vectors / parts(vectors, WIDE);
}

INLINE ptrdiff_t panels(ptrdiff_t columns)
{
    return parts(parts(columns, LANES), WIDE);
}

/* The row of weights that belongs to place `k` of a row of gates; -1 where there is none. */
INLINE ptrdiff_t row_of_gate(ptrdiff_t k, ptrdiff_t units)
{
    ptrdiff_t unit = k / PANEL * LANES + k % LANES, gate = k % PANEL / LANES;
    return unit < units ? gate * units + unit : -1;
}

/* Weights (4H, columns) as panels whose rows follow the places of a row of gates. */
static void pack_backward(const float *weights, ptrdiff_t columns, ptrdiff_t units, float *to)
{
    ptrdiff_t places = GATES * rounded(units, LANES);
    for (ptrdiff_t p = 0; p < panels(columns); p++) {
        int wide = (int)(before(p + 1, columns) - before(p, columns));
        for (ptrdiff_t k = 0; k < places; k++, to += wide * LANES) {
            ptrdiff_t row = row_of_gate(k, units);
            pack_row(row < 0 ? NULL : weights + row * columns, before(p, columns) * LANES, columns,
                     wide, to);
        }
    }
}

/* Rows of one gate's weights (4H, columns), a block of units, transposed into a panel. */
static void pack_forward(const float *weights, ptrdiff_t columns, ptrdiff_t rows, float *to)
{
    for (ptrdiff_t k = 0; k < columns; k += LANES) {
        ptrdiff_t count = least(LANES, columns - k);
        Lanes square[LANES];
        for (ptrdiff_t r = 0; r < LANES; r++) {
            square[r] = (Lanes){0};
            if (r < rows && count == LANES)
                square[r] = lanes(weights + r * columns + k);
            else if (r < rows)
                memcpy(square + r, weights + r * columns + k, count * sizeof *weights);
        }
        transpose(square);
        for (ptrdiff_t i = 0; i < count; i++)
            memcpy(to + (k + i) * PANEL, square + i, sizeof *square);
    }
}

/* ---- the cell ------------------------------------------------------------------------------- */

INLINE Lanes between(Lanes x, float limit)
{
    Lanes most = limit - (Lanes){0};
    x = choose(x > most, most, x); /* what is not a number stays so */
    return choose(x < -most, -most, x);
}

/* e^x = scale * (1 + rest), |x| < 88: 2^n times e^r, less 1, by Taylor's series up to r^7. */
INLINE Lanes exponential(Lanes x, Lanes *rest)
{
    const float integers = 12582912.0f; /* 1.5 * 2^23: adding it rounds to whole numbers */
    Lanes shifted = x * 1.44269504f + integers, n = shifted - integers;
    Lanes r = x - n * 0.693359375f + n * 2.12194440e-4f; /* ln 2 in two parts */
    Lanes series = 1.0f / 5040 * r + 1.0f / 720;
    series = series * r + 1.0f / 120;
    series = series * r + 1.0f / 24;
    series = series * r + 1.0f / 6;
    series = series * r + 0.5f;
    *rest = series * r * r + r;
    return (Lanes)(((Choice)shifted << 23) + (127 << 23));
}

INLINE Lanes logistic(Lanes x)
{
    Lanes rest, scale = exponential(between(-x, 87.0f), &rest);
    return 1.0f / (scale * rest + scale + 1.0f);
}

/* From e^2x - 1, which keeps small values exact. */
INLINE Lanes hyperbolic_tangent(Lanes x)
{
    Lanes rest, scale = exponential(2.0f * between(x, 10.0f), &rest);
    Lanes less_one = scale * rest + (scale - 1.0f);
    return less_one / (less_one + 2.0f);
}

/* What both passes over one direction of one network work with. */
typedef struct {
    ptrdiff_t steps, batch, room; /* the longest sequence, the sequences, and room for those */
    ptrdiff_t inputs, units, width, stride, outputs;
    int backward; /* in time */
    const int32_t *lengths; /* of the sequences, or NULL: all of them whole */
} Way;

INLINE ptrdiff_t step_at(const Way *way, ptrdiff_t n)
{
    return way->backward ? way->steps - 1 - n : n;
}

INLINE int there(const Way *way, ptrdiff_t t, ptrdiff_t row)
{
    return !way->lengths || t < way->lengths[row];
}

static Way way_of(const Shape *s, const int32_t *lengths, ptrdiff_t direction)
{
    ptrdiff_t width = rounded(s->units, 16);
    Way way = {s->steps, s->batch, s->batch, s->inputs, s->units, width, GATES * width + 16,
               s->directions * s->units, direction == 1, lengths};
    if (lengths) {
        way.steps = way.batch = 0;
        for (ptrdiff_t row = 0; row < s->batch; row++)
            if (lengths[row] > 0) {
                way.batch = row + 1;
                way.steps = lengths[row] > way.steps ? lengths[row] : way.steps;
            }
    }
    return way;
}

/* Squash the sums of a row's block of units; `c` and `before` (may be NULL) are cell states. */
INLINE Lanes cell(const Lanes *sums, const Lanes *peepholes, const float *before, int valid,
                  float *gates, float *c)
{
    Lanes old = before ? lanes(before) : (Lanes){0};
    Lanes z = hyperbolic_tangent(sums[0]);
    Lanes i = logistic(sums[1] + peepholes[0] * old);
    Lanes f = logistic(sums[2] + peepholes[1] * old);
    Lanes state = z * i + f * old;
    Lanes o = logistic(sums[3] + peepholes[2] * state);
    Lanes h = hyperbolic_tangent(state) * o;
    if (!valid)
        state = h = (Lanes){0};
    Lanes all[GATES] = {z, i, f, o};
    memcpy(gates, all, sizeof all);
    memcpy(c, &state, sizeof state);
    return h;
}

INLINE void load_units(const float *from, ptrdiff_t block, ptrdiff_t units, int rows, Lanes *to)
{
    for (int r = 0; r < rows; r++)
        pack_row(from + r * units, block * LANES, units, 1, (float *)(to + r));
}

static void forward_way(const Way *way, const float *x, Parameters p, float *out, float *gates,
                        float *c, float *packed)
{
    ptrdiff_t inputs = way->inputs, units = way->units, outputs = way->outputs;
    ptrdiff_t blocks = parts(units, LANES), size = (inputs + units) * PANEL;
    for (ptrdiff_t block = 0; block < blocks; block++)
        for (int gate = 0; gate < GATES; gate++) {
            ptrdiff_t first = gate * units + block * LANES, rows = least(LANES, units - block * LANES);
            float *to = packed + block * size + gate * LANES;
            pack_forward(p.weights + first * inputs, inputs, rows, to);
            pack_forward(p.recurrent + first * units, units, rows, to + inputs * PANEL);
        }
    ptrdiff_t tiles = parts(way->batch, ROWS);
    for (ptrdiff_t n = 0; n < way->steps; n++) {
        ptrdiff_t t = step_at(way, n), now = t * way->room, last = n ? step_at(way, n - 1) * way->room : 0;
        for (ptrdiff_t block = 0; block < blocks; block++) {
            const float *panel = packed + block * size;
            Lanes bias[GATES], peepholes[3];
            load_units(p.bias, block, units, GATES, bias);
            load_units(p.peepholes, block, units, 3, peepholes);
            for (ptrdiff_t i = 0; i < tiles; i++) {
                ptrdiff_t first = i * way->batch / tiles, end = (i + 1) * way->batch / tiles;
                Multiply *times = multiply[end - first - 1][GATES - 1];
                Tile tile;
                for (ptrdiff_t r = 0; r < end - first; r++)
                    memcpy(tile[r], bias, sizeof bias);
                times(x + (now + first) * inputs, inputs, 1, panel, inputs, tile);
                if (n)
                    times(out + (last + first) * outputs, outputs, 1, panel + inputs * PANEL, units,
                          tile);
                for (ptrdiff_t row = first; row < end; row++) {
                    ptrdiff_t unit = block * LANES;
                    const float *old = n ? c + (last + row) * way->width + unit : NULL;
                    Lanes h = cell(tile[row - first], peepholes, old, there(way, t, row),
                                   gates + (now + row) * way->stride + block * PANEL,
                                   c + (now + row) * way->width + unit);
                    store(out + (now + row) * outputs + unit, h, units - unit);
                }
            }
        }
    }
}

/* ---- the gradient --------------------------------------------------------------------------- */

/* Sums over steps and sequences: of the deltas of z, i, f, o, and of the peepholes' gradients. */
typedef struct {
    Lanes bias[GATES], peepholes[3];
} Sums;

/* Turn the error at h of a row's block of units into the gates' deltas; equations: CURRENNT's. */
INLINE void cell_deltas(Lanes to_h, const float *gates, const float *c, const float *before,
                        const Lanes *peepholes, int valid, int clip, float *carried, float *deltas,
                        Sums *sums)
{
    Lanes zero = {0};
    Lanes z = lanes(gates), i = lanes(gates + LANES), f = lanes(gates + 2 * LANES);
    Lanes o = lanes(gates + 3 * LANES), state = lanes(c), old = before ? lanes(before) : zero;
    Lanes squashed = hyperbolic_tangent(state), to_c = lanes(carried);
    if (!valid)
        to_h = to_c = zero;
    Lanes of_o = to_h * squashed * (o * (1.0f - o));
    to_c += to_h * o * (1.0f - squashed * squashed) + peepholes[2] * of_o;
    Lanes all[GATES] = {to_c * i * (1.0f - z * z), to_c * z * (i * (1.0f - i)),
                        to_c * old * (f * (1.0f - f)), of_o};
    for (int gate = 0; gate < GATES; gate++) {
        if (clip)
            all[gate] = between(all[gate], 1.0f);
        sums->bias[gate] += all[gate];
    }
    sums->peepholes[0] += all[1] * old;
    sums->peepholes[1] += all[2] * old;
    sums->peepholes[2] += all[3] * state;
    to_c = to_c * f + peepholes[0] * all[1] + peepholes[1] * all[2];
    memcpy(carried, &to_c, sizeof to_c);
    memcpy(deltas, all, sizeof all);
}

/* The deltas of all steps, and the gradients of bias and peepholes. `packed` and `carried` are
   working space. */
static void deltas_way(const Way *way, Parameters p, int clip, const float *to_out,
                       const float *gates, const float *c, float *deltas, Parameters gradient,
                       float *packed, float *carried)
{
    ptrdiff_t units = way->units, width = way->width, outputs = way->outputs, stride = way->stride;
    ptrdiff_t blocks = parts(units, LANES), places = blocks * PANEL, tiles = parts(way->batch, ROWS);
    pack_backward(p.recurrent, units, units, packed);
    memset(carried, 0, way->batch * width * sizeof *carried);
    Sums sums[blocks];
    memset(sums, 0, sizeof sums);
    for (ptrdiff_t n = way->steps - 1; n >= 0; n--) {
        ptrdiff_t t = step_at(way, n), now = t * way->room;
        ptrdiff_t last = n ? step_at(way, n - 1) * way->room : 0;
        ptrdiff_t next = n + 1 < way->steps ? step_at(way, n + 1) * way->room : -1;
        memset(deltas + (now + way->batch) * stride, 0,
               (way->room - way->batch) * stride * sizeof *deltas);
        for (ptrdiff_t panel = 0; panel < panels(units); panel++) {
            ptrdiff_t from = before(panel, units), wide = before(panel + 1, units) - from;
            Lanes peepholes[WIDE][3];
            for (ptrdiff_t v = 0; v < wide; v++)
                load_units(p.peepholes, from + v, units, 3, peepholes[v]);
            for (ptrdiff_t i = 0; i < tiles; i++) {
                ptrdiff_t first = i * way->batch / tiles, end = (i + 1) * way->batch / tiles;
                Tile tile;
                for (ptrdiff_t row = first; row < end; row++)
                    pack_row(to_out + (now + row) * outputs, from * LANES, units, (int)wide,
                             (float *)tile[row - first]);
                if (next >= 0)
                    multiply[end - first - 1][wide - 1](deltas + (next + first) * stride, stride, 1,
                                                        packed + from * LANES * places, places,
                                                        tile);
                for (ptrdiff_t v = 0; v < wide; v++)
                    for (ptrdiff_t row = first; row < end; row++) {
                        ptrdiff_t unit = (from + v) * LANES, at = (from + v) * PANEL;
                        cell_deltas(tile[row - first][v], gates + (now + row) * stride + at,
                                    c + (now + row) * width + unit,
                                    n ? c + (last + row) * width + unit : NULL, peepholes[v],
                                    there(way, t, row), clip, carried + row * width + unit,
                                    deltas + (now + row) * stride + at, sums + from + v);
                    }
            }
        }
    }
    for (ptrdiff_t block = 0; block < blocks; block++) {
        ptrdiff_t unit = block * LANES;
        for (int gate = 0; gate < GATES; gate++)
            store(gradient.bias + gate * units + unit, sums[block].bias[gate], units - unit);
        for (int k = 0; k < 3; k++)
            store(gradient.peepholes + k * units + unit, sums[block].peepholes[k], units - unit);
    }
}

/* gradient (4H, columns) = deltas' @ values, summed over `steps` of the batch; values (B, columns)
   of each step lie `distance` apart. `sums` and `packed` are working space. */
static void weights_gradient(const Way *way, ptrdiff_t steps, const float *deltas,
                             const float *values, ptrdiff_t distance, ptrdiff_t columns,
                             float *gradient, float *sums, float *packed)
{
    ptrdiff_t places = GATES * rounded(way->units, LANES), room = rounded(columns, LANES);
    ptrdiff_t rows = steps * way->room, tiles = parts(places, ROWS);
    memset(sums, 0, places * room * sizeof *sums);
    for (ptrdiff_t start = 0; start < rows; start += CHUNK) {
        ptrdiff_t count = least(CHUNK, rows - start);
        for (ptrdiff_t panel = 0; panel < panels(columns); panel++) {
            ptrdiff_t from = before(panel, columns), wide = before(panel + 1, columns) - from;
            for (ptrdiff_t k = 0; k < count; k++)
                pack_row(values + (start + k) * distance, from * LANES, columns, (int)wide,
                         packed + k * wide * LANES);
            for (ptrdiff_t i = 0; i < tiles; i++) {
                ptrdiff_t first = i * places / tiles, end = (i + 1) * places / tiles;
                float *to = sums + first * room + from * LANES;
                Tile tile;
                for (ptrdiff_t r = 0; r < end - first; r++)
                    memcpy(tile[r], to + r * room, wide * sizeof(Lanes));
                multiply[end - first - 1][wide - 1](deltas + start * way->stride + first, 1,
                                                    way->stride, packed, count, tile);
                for (ptrdiff_t r = 0; r < end - first; r++)
                    memcpy(to + r * room, tile[r], wide * sizeof(Lanes));
            }
        }
    }
    for (ptrdiff_t k = 0; k < places; k++) {
        ptrdiff_t row = row_of_gate(k, way->units);
        if (row >= 0)
            memcpy(gradient + row * columns, sums + k * room, columns * sizeof *sums);
    }
}

/* to_x (T, B, P) = deltas @ weights, summed over the directions. `packed` is working space. */
static void inputs_gradient(const Way *way, const Shape *s, Parameters p, const float *deltas,
                            float *to_x, float *packed)
{
    ptrdiff_t inputs = way->inputs, tiles = parts(way->batch, ROWS);
    ptrdiff_t places = GATES * rounded(way->units, LANES);
    ptrdiff_t apart = s->steps * s->batch * way->stride, size = places * rounded(inputs, LANES);
    for (ptrdiff_t d = 0; d < s->directions; d++)
        pack_backward(p.weights + d * GATES * way->units * inputs, inputs, way->units,
                      packed + d * size);
    for (ptrdiff_t panel = 0; panel < panels(inputs); panel++) {
        ptrdiff_t from = before(panel, inputs), wide = before(panel + 1, inputs) - from;
        for (ptrdiff_t t = 0; t < way->steps; t++)
            for (ptrdiff_t i = 0; i < tiles; i++) {
                ptrdiff_t first = i * way->batch / tiles, end = (i + 1) * way->batch / tiles;
                ptrdiff_t now = t * way->room + first;
                Tile tile = {0};
                for (ptrdiff_t d = 0; d < s->directions; d++)
                    multiply[end - first - 1][wide - 1](
                        deltas + d * apart + now * way->stride, way->stride, 1,
                        packed + d * size + from * LANES * places, places, tile);
                for (ptrdiff_t r = 0; r < end - first; r++)
                    for (ptrdiff_t v = 0; v < wide; v++) {
                        ptrdiff_t column = (from + v) * LANES;
                        store(to_x + (now + r) * inputs + column, tile[r][v], inputs - column);
                    }
            }
    }
}

/* ---- what Python calls ---------------------------------------------------------------------- */

INLINE Parameters of_direction(Parameters p, const Shape *s, ptrdiff_t d)
{
    ptrdiff_t rows = d * GATES * s->units;
    return (Parameters){p.weights + rows * s->inputs, p.bias + rows, p.recurrent + rows * s->units,
                        p.peepholes + d * 3 * s->units};
}

/* Floats of working space that `backward` needs; `forward` needs less. */
EXPORT void working_space(const Shape *s, ptrdiff_t *floats)
{
    Way way = way_of(s, NULL, 0);
    ptrdiff_t places = GATES * way.width, columns = rounded(s->inputs, LANES);
    ptrdiff_t widest = columns > way.width ? columns : way.width;
    ptrdiff_t packed = places * (s->directions * columns + s->units + way.width);
    *floats = packed + s->directions * s->steps * s->batch * way.stride + s->batch * way.width
              + places * widest + CHUNK * PANEL;
}

/* x (M, T, B, P), lengths (M, B) or NULL -> out (M, T, B, D * H), and what the gradient is made
   from: gates (M, D, T, B, stride), c (M, D, T, B, width). Nothing is written where a sequence is
   padded longer than the network's longest, or beyond its last sequence. */
EXPORT void forward(const Shape *s, const float *x, const int32_t *lengths,
                    const Parameters *parameters, float *out, float *gates, float *c, float *work)
{
    ptrdiff_t rows = s->steps * s->batch;
    for (ptrdiff_t m = 0; m < s->networks; m++)
        for (ptrdiff_t d = 0; d < s->directions; d++) {
            Way way = way_of(s, lengths ? lengths + m * s->batch : NULL, d);
            ptrdiff_t at = (m * s->directions + d) * rows;
            forward_way(&way, x + m * rows * s->inputs, of_direction(parameters[m], s, d),
                        out + m * rows * way.outputs + d * s->units, gates + at * way.stride,
                        c + at * way.width, work);
        }
}

/* The gradients of the parameters and, unless to_x is NULL, of x, from that of out. */
EXPORT void backward(const Shape *s, const float *x, const int32_t *lengths,
                     const Parameters *parameters, const float *out, const float *gates,
                     const float *c, const float *to_out, int clip, float *to_x,
                     const Parameters *gradients, float *work)
{
    ptrdiff_t rows = s->steps * s->batch;
    for (ptrdiff_t m = 0; m < s->networks; m++) {
        Way way = way_of(s, lengths ? lengths + m * s->batch : NULL, 0);
        ptrdiff_t apart = rows * way.stride;
        float *deltas = work, *carried = deltas + s->directions * apart;
        float *panel = carried + s->batch * way.width, *packed = panel + CHUNK * PANEL;
        const float *own_x = x + m * rows * s->inputs;
        for (ptrdiff_t d = 0; d < s->directions; d++) {
            way = way_of(s, lengths ? lengths + m * s->batch : NULL, d);
            ptrdiff_t at = (m * s->directions + d) * rows, step = way.room * way.outputs;
            Parameters gradient = of_direction(gradients[m], s, d);
            float *own = deltas + d * apart;
            deltas_way(&way, of_direction(parameters[m], s, d), clip,
                       to_out + m * rows * way.outputs + d * s->units, gates + at * way.stride,
                       c + at * way.width, own, gradient, packed, carried);
            weights_gradient(&way, way.steps, own, own_x, s->inputs, s->inputs, gradient.weights,
                             packed, panel);
            const float *h = out + m * rows * way.outputs + d * s->units;
            ptrdiff_t later = way.steps > 1 ? way.steps - 1 : 0;
            weights_gradient(&way, later, own + (d ? 0 : way.room * way.stride),
                             h + (d ? step : 0), way.outputs, s->units, gradient.recurrent, packed,
                             panel);
        }
        if (to_x)
            inputs_gradient(&way, s, parameters[m], deltas, to_x + m * rows * s->inputs, packed);
    }
}
