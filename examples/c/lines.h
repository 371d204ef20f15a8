/*
 * A file of lines that is rotated, for audit_to_file.c: path, path.1 and so on up to .9. A line is there as a whole or not
 * at all: what a crash or a full disk has left of one never becomes a part of the next.
 */
#ifndef EXAMPLE_LINES_H
#define EXAMPLE_LINES_H

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define KEEP 9
static struct { const char *path; int fd; off_t size, max; } file = {NULL, -1, 0, 0};

/* A new name is durable when its directory is. */
static int sync_directory(void)
{
    char name[4096];
    int fd, failed;
    snprintf(name, sizeof name, "%s", file.path);
    fd = open(dirname(name), O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    failed = fd < 0 || fsync(fd) != 0;
    return (fd >= 0 && close(fd) != 0) || failed;
}

/* A line that a crash has cut off is ended here, or the next record would be a part of it: then both would be lost. */
static int open_file(void)
{
    struct stat found;
    char last = '\n';
    if ((file.fd = open(file.path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600)) < 0 || fstat(file.fd, &found) != 0)
        return 1;
    file.size = found.st_size;
    if (file.size > 0 && (pread(file.fd, &last, 1, file.size - 1) != 1 || (last != '\n' && write(file.fd, "\n", 1) != 1)))
        return close(file.fd), file.fd = -1, 1;
    file.size += last != '\n';
    return sync_directory();
}

static int rotate(void)
{
    char from[4096], to[4096];
    int n, failed = fsync(file.fd);
    close(file.fd);
    for (n = KEEP; n > 0; n--) {
        snprintf(to, sizeof to, "%s.%d", file.path, n);
        snprintf(from, sizeof from, n > 1 ? "%s.%d" : "%s", file.path, n - 1);
        /* One that is not there yet is not there. Nothing takes the name of one that cannot be moved: the file grows on. */
        if (rename(from, to) != 0 && errno != ENOENT) {
            perror(from);
            break;
        }
    }
    return open_file() || failed;
}

/* What came behind is refused: half a line is worse than none, and a chain wants nothing kept that was refused. Where it
 * stays all the same, opening the file anew ends its line. */
static int refuse(off_t size)
{
    if (ftruncate(file.fd, size) != 0)
        close(file.fd), file.fd = -1;
    file.size = size;
    return 1;
}

/* The text and the end of its line in one call; whatever a full disk has left out, in another. */
static int append(const char *json, size_t size)
{
    size_t done = 0;
    while (done <= size) {
        struct iovec rest[2] = {{(void *)(json + done), size - done}, {"\n", 1}};
        ssize_t n = writev(file.fd, rest, 2);
        if (n <= 0)
            return refuse(file.size);
        done += (size_t)n;
    }
    file.size += (off_t)done;
    return 0;
}

#endif
