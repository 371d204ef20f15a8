/* Beside a static OpenSSL, whose digests and TLS are used before and after ours. */
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <string.h>

#include "receive.h"

/* SHA-256 of "abc", FIPS 180-2 B.1. */
static int openssl_works(void)
{
    static const unsigned char wanted[32] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40,
                                             0xde, 0x5d, 0xae, 0x22, 0x23, 0xb0, 0x03, 0x61, 0xa3, 0x96, 0x17,
                                             0x7a, 0x9c, 0xb4, 0x10, 0xff, 0x61, 0xf2, 0x00, 0x15, 0xad};
    unsigned char digest[32];
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    int well = context != NULL && SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM") == 1;
    SSL_CTX_free(context);
    SHA256((const unsigned char *)"abc", 3, digest);
    return well && memcmp(digest, wanted, sizeof wanted) == 0;
}

int main(void)
{
    if (!openssl_works() || session(5) || !openssl_works())
        return 1;
    return 0;
}
