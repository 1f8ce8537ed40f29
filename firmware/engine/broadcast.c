/* Functions of two tensors, and choices between two, of any shapes that fit each other: one step for each dimension and
 * input, 0 where it repeats. What the faster kernels don't take comes here. */
#include "matmul_f32.h"
#include "requantize.h"

#include <math.h>

/* a belongs to the operator's first input, b to its second. `y` may be the input if that doesn't repeat. */
#define PAIR(name, from, to, value)                                                                               \
    static void name##_each(const struct hil_broadcast *p, const from *x1, const from *x2, to *y)                 \
    {                                                                                                             \
        const uint32_t *n = p->count, *f = p->first, *s = p->second;                                              \
        for (uint32_t i = 0; i < n[0]; i++) {                                                                     \
            for (uint32_t j = 0; j < n[1]; j++) {                                                                 \
                for (uint32_t k = 0; k < n[2]; k++) {                                                             \
                    const from *u = x1 + i * f[0] + j * f[1] + k * f[2];                                          \
                    const from *v = x2 + i * s[0] + j * s[1] + k * s[2];                                          \
                    for (uint32_t left = n[3]; left; left--, u += f[3], v += s[3]) {                              \
                        const from a = *u, b = *v;                                                                \
                        *y++ = (to)(value);                                                                       \
                    }                                                                                             \
                }                                                                                                 \
            }                                                                                                     \
        }                                                                                                         \
    }                                                                                                             \
    void hil_any_##name(const struct hil_broadcast *p, const from *x1, const from *x2, to *y)                     \
    {                                                                                                             \
        name##_each(p, x1, x2, y);                                                                                \
    }                                                                                                             \
    void hil_any_##name##_constant(const struct hil_broadcast *p, const from *x, to *y)                           \
    {                                                                                                             \
        if (p->swapped)                                                                                           \
            name##_each(p, p->constant, x, y);                                                                    \
        else                                                                                                      \
            name##_each(p, x, p->constant, y);                                                                    \
    }

/* int8, as TFLite Micro does it: inputs in some more bits, scaled to one scale. */
#define FIRST(bits) scale_by((a - p->first_zero) * (1 << (bits)), p->first_multiplier, p->first_shift)
#define SECOND(bits) scale_by((b - p->second_zero) * (1 << (bits)), p->second_multiplier, p->second_shift)

static inline int32_t scaled(const struct hil_broadcast *p, int32_t value)
{
    return clamp(scale_by(value, p->multiplier, p->shift) + p->out_zero, p->act_min, p->act_max);
}

static inline int32_t prelu(const struct hil_broadcast *p, int32_t a, int32_t b)
{
    a -= p->first_zero;
    if (a < 0)
        return scaled(p, a * (b - p->second_zero));
    return clamp(scale_by(a, p->first_multiplier, p->first_shift) + p->out_zero, p->act_min, p->act_max);
}

static inline int32_t squared_difference(const struct hil_broadcast *p, int32_t difference)
{
    return scaled(p, difference * difference);
}

PAIR(add_s8, int8_t, int8_t, scaled(p, FIRST(20) + SECOND(20)))
PAIR(sub_s8, int8_t, int8_t, scaled(p, FIRST(20) - SECOND(20)))
PAIR(mul_s8, int8_t, int8_t, scaled(p, (a - p->first_zero) * (b - p->second_zero)))
PAIR(minimum_s8, int8_t, int8_t, a < b ? a : b)
PAIR(maximum_s8, int8_t, int8_t, a > b ? a : b)
PAIR(prelu_s8, int8_t, int8_t, prelu(p, a, b))
PAIR(squared_difference_s8, int8_t, int8_t, squared_difference(p, FIRST(7) - SECOND(7)))

#define LIMITED(value) clamp_f32(value, p->low, p->high)
PAIR(add_f32, float, float, LIMITED(a + b))
PAIR(sub_f32, float, float, LIMITED(a - b))
PAIR(mul_f32, float, float, LIMITED(a * b))
PAIR(div_f32, float, float, LIMITED(a / b))
PAIR(minimum_f32, float, float, a < b ? a : b)
PAIR(maximum_f32, float, float, a > b ? a : b)
PAIR(prelu_f32, float, float, a < 0.0f ? a * b : a)
PAIR(pow_f32, float, float, powf(a, b))
PAIR(floor_div_f32, float, float, floorf(a / b))
PAIR(squared_difference_f32, float, float, (a - b) * (a - b))

/* Of the divisor's sign. */
static inline float floor_mod(float a, float b)
{
    float rest = fmodf(a, b);
    return rest != 0.0f && (rest < 0.0f) != (b < 0.0f) ? rest + b : rest;
}
PAIR(floor_mod_f32, float, float, floor_mod(a, b))

/* Sums and products of int32 wrap around. */
PAIR(add_s32, int32_t, int32_t, (uint32_t)a + (uint32_t)b)
PAIR(sub_s32, int32_t, int32_t, (uint32_t)a - (uint32_t)b)
PAIR(mul_s32, int32_t, int32_t, (uint32_t)a * (uint32_t)b)
/* Towards 0; the divisor is a constant without zeros. */
PAIR(div_s32, int32_t, int32_t, b == -1 ? (int32_t)(0u - (uint32_t)a) : a / b)
PAIR(minimum_s32, int32_t, int32_t, a < b ? a : b)
PAIR(maximum_s32, int32_t, int32_t, a > b ? a : b)
PAIR(squared_difference_s32, int32_t, int32_t, ((uint32_t)a - (uint32_t)b) * ((uint32_t)a - (uint32_t)b))

#define COMPARISONS(name, than)                                                                                   \
    PAIR(name##_s8, int8_t, uint8_t, FIRST(8) than SECOND(8))                                                     \
    PAIR(name##_f32, float, uint8_t, a than b)                                                                    \
    PAIR(name##_s32, int32_t, uint8_t, a than b)
COMPARISONS(less, <)
COMPARISONS(less_equal, <=)
COMPARISONS(greater, >)
COMPARISONS(greater_equal, >=)
COMPARISONS(equal, ==)
COMPARISONS(not_equal, !=)

PAIR(logical_and_bool, uint8_t, uint8_t, a & b)
PAIR(logical_or_bool, uint8_t, uint8_t, a | b)
PAIR(equal_bool, uint8_t, uint8_t, a == b)
PAIR(not_equal_bool, uint8_t, uint8_t, a != b)

/* What isn't constant comes as `given`, in the order of the operator's inputs. */
#define SELECT(bits)                                                                                              \
    static void select_##bits(const struct hil_select *p, const void *const *given, uint##bits##_t *y)            \
    {                                                                                                             \
        const uint32_t *n = p->count, *c = p->step[0], *f = p->step[1], *s = p->step[2];                          \
        const uint8_t *condition = p->condition ? p->condition : *given++;                                        \
        const uint##bits##_t *x1 = p->first ? p->first : *given++, *x2 = p->second ? p->second : *given;          \
        for (uint32_t i = 0; i < n[0]; i++) {                                                                     \
            for (uint32_t j = 0; j < n[1]; j++) {                                                                 \
                for (uint32_t k = 0; k < n[2]; k++) {                                                             \
                    const uint8_t *t = condition + i * c[0] + j * c[1] + k * c[2];                                \
                    const uint##bits##_t *u = x1 + i * f[0] + j * f[1] + k * f[2];                                \
                    const uint##bits##_t *v = x2 + i * s[0] + j * s[1] + k * s[2];                                \
                    for (uint32_t left = n[3]; left; left--, t += c[3], u += f[3], v += s[3])                     \
                        *y++ = *t ? *u : *v;                                                                      \
                }                                                                                                 \
            }                                                                                                     \
        }                                                                                                         \
    }                                                                                                             \
    void hil_select1_##bits(const struct hil_select *p, const void *a, void *y)                                   \
    {                                                                                                             \
        const void *const given[] = {a};                                                                          \
        select_##bits(p, given, y);                                                                               \
    }                                                                                                             \
    void hil_select2_##bits(const struct hil_select *p, const void *a, const void *b, void *y)                    \
    {                                                                                                             \
        const void *const given[] = {a, b};                                                                       \
        select_##bits(p, given, y);                                                                               \
    }                                                                                                             \
    void hil_select3_##bits(const struct hil_select *p, const void *a, const void *b, const void *c, void *y)     \
    {                                                                                                             \
        const void *const given[] = {a, b, c};                                                                    \
        select_##bits(p, given, y);                                                                               \
    }
SELECT(8)
SELECT(16)
SELECT(32)
