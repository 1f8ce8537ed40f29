/* newlib keeps errno inside a structure of 1 KB of RAM, which expf() would pull in. Nobody here reads errno. */
int *__errno(void);

int *__errno(void)
{
    static int value;
    return &value;
}
