/* Complex values as two real ones, for fft.h: what is defined for reals (ADDED, SUBTRACTED, NEGATED, HALF_ADDED,
 * HALF_SUBTRACTED, PRODUCT_RE, PRODUCT_IM, DIVIDED_REAL) is done part by part. */
#define RE(a) (a).re
#define IM(a) (a).im
#define MAKE(re, im) ((CPX){(re), (im)})
#define SUM(a, b) MAKE(ADDED((a).re, (b).re), ADDED((a).im, (b).im))
#define DIFFERENCE(a, b) MAKE(SUBTRACTED((a).re, (b).re), SUBTRACTED((a).im, (b).im))
#define MINUS_I_SUM(a, b) MAKE(ADDED((a).re, (b).im), SUBTRACTED((a).im, (b).re))
#define PLUS_I_SUM(a, b) MAKE(SUBTRACTED((a).re, (b).im), ADDED((a).im, (b).re))
#define CONJUGATE(a) fft_conjugate(a)
#define PRODUCT(a, b) fft_product(a, b)
#define DIVIDED(a, by) fft_divided(a, by)
#define HALF_SUM(a, b) MAKE(HALF_ADDED((a).re, (b).re), HALF_ADDED((a).im, (b).im))
#define HALF_CONJUGATE_DIFFERENCE(a, b) MAKE(HALF_SUBTRACTED((a).re, (b).re), HALF_SUBTRACTED((b).im, (a).im))

#define CPX struct fft_parts
struct fft_parts {
    REAL re, im;
};

static inline CPX fft_product(CPX a, CPX b)
{
    return MAKE(PRODUCT_RE(a, b), PRODUCT_IM(a, b));
}

static inline CPX fft_divided(CPX a, int by)
{
    return MAKE(DIVIDED_REAL(a.re, by), DIVIDED_REAL(a.im, by));
}

static inline CPX fft_conjugate(CPX a)
{
    return MAKE(a.re, NEGATED(a.im));
}
