/*
 * Races planted on purpose, for ThreadSanitizer to find: argument 1 is c, rust (linked from tsan/planted.rs), or none, where
 * threads share as they should.
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

uint64_t planted_race(void);
uint64_t planted_none(void);

static int raced, guarded;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *races(void *unused)
{
    int i;
    for (i = 0; i < 1000; i++) {
        raced++;
    }
    return unused;
}

static void *shares(void *unused)
{
    int i;
    for (i = 0; i < 1000; i++) {
        pthread_mutex_lock(&lock);
        guarded++;
        pthread_mutex_unlock(&lock);
    }
    return unused;
}

static void two_of(void *(*function)(void *))
{
    pthread_t other;
    if (pthread_create(&other, NULL, function, NULL) == 0) {
        function(NULL);
        pthread_join(other, NULL);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        return 2;
    }
    if (strcmp(argv[1], "c") == 0) {
        two_of(races);
    } else if (strcmp(argv[1], "rust") == 0) {
        printf("%d\n", (int)planted_race());
    } else {
        two_of(shares);
        return guarded == 2000 && planted_none() == 1000 ? 0 : 1;
    }
    return 0;
}
