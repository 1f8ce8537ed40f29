/* Runs as the only program of a Linux guest: imports the board over USB/IP, then carries bytes between /dev/ttyACM0 and a
 * connection to the test, which is all that the test sees of the board; at its end comes the touch at 1200 baud. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <termios.h>
#include <unistd.h>

static int dial(const char *port)
{
    int line = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(port))};
    inet_aton("10.0.2.2", &place.sin_addr);
    if (connect(line, (struct sockaddr *)&place, sizeof place) != 0) {
        perror("connect");
        exit(1);
    }
    setsockopt(line, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return line;
}

static void take(int line, void *to, size_t bytes)
{
    for (char *p = to; bytes != 0;) {
        const ssize_t got = read(line, p, bytes);
        if (got <= 0) {
            perror("read");
            exit(1);
        }
        p += got;
        bytes -= (size_t)got;
    }
}

static void import_board(const char *port)
{
    unsigned char request[40] = {1, 0x11, 0x80, 3, 0, 0, 0, 0, '1', '-', '1'}, reply[8 + 312];
    unsigned bus, device;
    char text[64];
    const int line = dial(port), attach = open("/sys/devices/platform/vhci_hcd.0/attach", O_WRONLY);
    if (write(line, request, sizeof request) != sizeof request) {
        exit(1);
    }
    take(line, reply, sizeof reply);
    memcpy(&bus, reply + 8 + 256 + 32, sizeof bus);
    memcpy(&device, reply + 8 + 256 + 36, sizeof device);
    const int bytes = snprintf(text, sizeof text, "0 %d %u 2", line, ntohl(bus) << 16 | ntohl(device));
    if (attach < 0 || write(attach, text, (size_t)bytes) != bytes) {
        perror("attach");
        exit(1);
    }
}

static int open_tty(speed_t baud)
{
    struct termios mode;
    const int tty = open("/dev/ttyACM0", O_RDWR | O_NOCTTY);
    if (tty < 0) {
        perror("/dev/ttyACM0");
        exit(1);
    }
    tcgetattr(tty, &mode);
    cfmakeraw(&mode);
    cfsetspeed(&mode, baud);
    mode.c_cflag |= CLOCAL | CREAD;
    tcsetattr(tty, TCSANOW, &mode);
    return tty;
}

static void carry(int from, int to)
{
    char data[4096];
    const ssize_t got = read(from, data, sizeof data);
    if (got <= 0) {
        close(to);
        close(open_tty(B1200));
        puts("touched");
        exit(0);
    }
    for (ssize_t done = 0; done < got;) {
        const ssize_t put = write(to, data + done, (size_t)(got - done));
        done += put > 0 ? put : 0;
    }
}

int main(int words, char **arguments)
{
    if (words != 3) {
        return 2;
    }
    import_board(arguments[1]);
    for (int i = 0; i < 600 && access("/dev/ttyACM0", F_OK) != 0; ++i) {
        usleep(100000);
    }
    const int tty = open_tty(B115200), line = dial(arguments[2]);
    for (;;) {
        struct pollfd either[2] = {{line, POLLIN, 0}, {tty, POLLIN, 0}};
        poll(either, 2, -1);
        if (either[0].revents != 0) {
            carry(line, tty);
        }
        if (either[1].revents != 0) {
            carry(tty, line);
        }
    }
}
