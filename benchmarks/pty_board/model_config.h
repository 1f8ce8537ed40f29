#if !defined(HIL_INPUT_BYTES) || !defined(HIL_OUTPUT_BYTES)
#error "compile with -DHIL_INPUT_BYTES=... -DHIL_OUTPUT_BYTES=..."
#endif
