/* The kernels of TFLite Micro's signal library (audio front ends), to the last bit of its integers. */
#ifndef HIL_SIGNAL_H
#define HIL_SIGNAL_H

#include <stdint.h>

/* As tensors are aligned. */
typedef uint64_t hil_uint64 __attribute__((aligned(4)));

struct hil_signal_window {
    uint32_t rows, size, shift;
    const int16_t *weights;
};

struct hil_signal_count {
    uint32_t count;
};

/* Complex values are pairs, real part first. A spectrum has length / 2 + 1 of them. */
struct hil_fft {
    uint32_t rows;
    uint32_t given;          /* values of a row; the rest of `length` is 0 */
    uint32_t length;         /* a power of two, 4 or more */
    const void *twiddles;    /* length / 2 complex values */
    const void *to_real;     /* length / 4: between the spectrum of pairs and that of real values */
};

struct hil_signal_energy {
    uint32_t count, begin, end;
};

struct hil_filter_bank {
    uint32_t channels;
    const int16_t *weights, *unweights;                       /* of a bin in its channel, and in the one before */
    const int16_t *starts, *weight_starts, *widths;           /* of channels + 1 bands */
};

struct hil_noise {
    uint32_t channels;
    uint32_t smoothing[2], kept[2]; /* of even and odd channels: how much of the signal, of the estimate */
    uint32_t clamps, smoothing_bits, bits, least;
};

struct hil_pcan {
    uint32_t channels, shift;
    const int16_t *gains;
};

struct hil_signal_log {
    uint32_t count, scale, shift;
    const uint16_t *table;
};

struct hil_framer {
    uint32_t rows, frames, size, step;
    uint32_t history; /* samples of a row that are kept, less than `size` */
    uint32_t needed;  /* steps before the first whole frame, 0: it begins with zeros */
};

struct hil_stacker {
    uint32_t channels, frames, repeated, step;
};

struct hil_delay {
    uint32_t rows, size, delay;
};

struct hil_overlap_add {
    uint32_t rows, frames, size, step;
};

void hil_signal_window(const struct hil_signal_window *p, const int16_t *x, int16_t *y);
void hil_signal_scale_bits(const struct hil_signal_count *p, const int16_t *x, int32_t *bits);
void hil_signal_scale(const struct hil_signal_count *p, const int16_t *x, const int32_t *bits, int16_t *y);
void hil_rfft_s16(const struct hil_fft *p, const int16_t *x, int16_t *y);
void hil_rfft_s16_plain(const struct hil_fft *p, const int16_t *x, int16_t *y);
void hil_rfft_s32(const struct hil_fft *p, const int32_t *x, int32_t *y);
void hil_rfft_f32(const struct hil_fft *p, const float *x, float *y);
void hil_irfft_s16(const struct hil_fft *p, const int16_t *x, int16_t *y);
void hil_irfft_s16_plain(const struct hil_fft *p, const int16_t *x, int16_t *y);
void hil_irfft_s32(const struct hil_fft *p, const int32_t *x, int32_t *y);
void hil_irfft_f32(const struct hil_fft *p, const float *x, float *y);
void hil_signal_energy(const struct hil_signal_energy *p, const int16_t *x, uint32_t *y);
void hil_filter_bank(const struct hil_filter_bank *p, const uint32_t *x, hil_uint64 *y);
void hil_filter_bank_square_root(const struct hil_signal_count *p, const hil_uint64 *x, const int32_t *bits,
                                 uint32_t *y);
void hil_pcan(const struct hil_pcan *p, const uint32_t *x, const uint32_t *noise, uint32_t *y);
void hil_signal_log(const struct hil_signal_log *p, const uint32_t *x, int16_t *y);

/* The estimate is read and written. */
void hil_noise_estimate(const struct hil_noise *p, const uint32_t *x, uint32_t *noise);
void hil_noise_subtract(const struct hil_noise *p, const uint32_t *x, const uint32_t *noise, uint32_t *y);

/* What lies between the input and the output is the state, which is read and written. */
void hil_framer(const struct hil_framer *p, const int16_t *x, int16_t *history, int32_t *seen, uint8_t *whole,
                int16_t *y);
void hil_stacker(const struct hil_stacker *p, const int16_t *x, int16_t *held, int32_t *numbers, uint8_t *whole,
                 int16_t *y);
void hil_delay(const struct hil_delay *p, const int16_t *x, int16_t *line, int16_t *y);
void hil_overlap_add_s16(const struct hil_overlap_add *p, const int16_t *x, int16_t *tail, int16_t *y);
void hil_overlap_add_f32(const struct hil_overlap_add *p, const float *x, float *tail, float *y);

#endif
