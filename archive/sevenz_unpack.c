/* sevenz_unpack — the one thing of an archive that is ever decompressed: its header.
 *
 * What comes out is as long as was told or the header is damaged, and no longer than ARCHIVE_HEADER; a
 * dictionary is never larger than what comes out, so a header that asks for 4 GiB of it gets 8 MiB. */
#include "archive/cipher.h"
#include "archive/keys.h"
#include "archive/sevenz.h"

#include <lzma.h>
#include <openssl/crypto.h>
#include <zlib.h>

#include <stdlib.h>

bool sevenz_aes_parse(const struct sevenz_coder *c, struct sevenz_aes *aes)
{
    *aes = (struct sevenz_aes){0};
    if (!c->nprops)
        return false;
    unsigned first = c->props[0], second = c->nprops > 1 ? c->props[1] : 0;
    size_t salt = (first >> 7 & 1) + (second >> 4), iv = (first >> 6 & 1) + (second & 15);
    size_t head = first & 0xc0 ? 2 : 1;
    if (c->nprops < head || salt > 16 || iv > 16)
        return false;
    if (head == 1)
        salt = iv = 0;
    if (c->nprops < head + salt + iv)
        return false;
    aes->log2_rounds = first & 0x3f;
    aes->salt = c->props + head;
    aes->salt_len = salt;
    if (iv)
        memcpy(aes->iv, c->props + head + salt, iv);
    return true;
}

enum archive_why sevenz_aes_refused(const struct sevenz_aes *aes)
{
    bool known = aes->log2_rounds <= ARCHIVE_KDF_LOG2_MAX || aes->log2_rounds == 0x3f;
    return known ? ARCHIVE_TOO_MUCH : ARCHIVE_CIPHER;
}

/** `in` through one LZMA coder, into exactly `outlen` bytes. False: it does not come to that. */
static bool unlzma(const struct sevenz_coder *c, const uint8_t *in, size_t inlen, uint8_t *out,
                   size_t outlen)
{
    lzma_filter filters[2] = {
        {.id = c->method == SEVENZ_LZMA ? LZMA_FILTER_LZMA1 : LZMA_FILTER_LZMA2},
        {.id = LZMA_VLI_UNKNOWN}};
    lzma_stream strm = LZMA_STREAM_INIT;
    bool whole = false;

    if (lzma_properties_decode(&filters[0], NULL, c->props, c->nprops) != LZMA_OK)
        return false;
    lzma_options_lzma *options = filters[0].options;
    if (options->dict_size > outlen)
        options->dict_size = outlen > LZMA_DICT_SIZE_MIN ? (uint32_t)outlen : LZMA_DICT_SIZE_MIN;
    if (lzma_raw_decoder(&strm, filters) == LZMA_OK) {
        strm.next_in = in;
        strm.avail_in = inlen;
        strm.next_out = out;
        strm.avail_out = outlen;
        lzma_ret ret = lzma_code(&strm, LZMA_RUN);
        whole = (ret == LZMA_OK || ret == LZMA_STREAM_END) && !strm.avail_out;
    }
    lzma_end(&strm);
    free(options);
    return whole;
}

/** One run of bytes through one coder: what comes out, malloced; NULL with *err (0: it does not go). */
static uint8_t *undo(const struct sevenz_coder *c, const struct archive_cipher *cipher,
                     const uint8_t *in, size_t inlen, int *err)
{
    size_t outlen = (size_t)c->size, room = outlen > inlen ? outlen : inlen;
    uint8_t *out = malloc(room ? room : 1);
    bool ok = false;

    *err = out ? 0 : -ENOMEM;
    if (!out)
        return NULL;
    if (c->method == SEVENZ_LZMA || c->method == SEVENZ_LZMA2) {
        ok = unlzma(c, in, inlen, out, outlen);
    } else if (outlen <= inlen) {
        memcpy(out, in, inlen);
        ok = c->method == SEVENZ_COPY;
        if (c->method == SEVENZ_AES && inlen % 16 == 0) {
            struct archive_decipher *d = archive_decipher_new(cipher);
            *err = d ? 0 : -ENOMEM;
            ok = d && archive_decipher(d, 0, out, inlen);
            archive_decipher_free(d);
        }
    }
    if (ok)
        return out;
    free(out);
    return NULL;
}

/** All coders, with one key. 0 with *data malloced, or NULL where it does not go. */
static int undo_all(const struct sevenz_folder *f, const struct archive_cipher *cipher,
                    const uint8_t *packed, size_t len, uint8_t **data)
{
    const uint8_t *in = packed;
    uint8_t *made = NULL;
    int err = 0;

    for (uint32_t k = 0; k < f->ncoders; k++) {
        uint8_t *out = undo(&f->coders[k], cipher, in, len, &err);
        free(made);
        made = out;
        if (!out)
            break;
        in = out;
        len = (size_t)f->coders[k].size;
    }
    *data = made;
    return err;
}

static bool is_right(const struct sevenz_folder *f, const uint8_t *data)
{
    if (f->has_crc)
        return crc32_z(0, data, (size_t)f->size) == f->crc;
    return f->size && (data[0] == 1 || data[0] == 23); /* a header, or a packed one */
}

static const struct sevenz_coder *aes_of(const struct sevenz_folder *f)
{
    for (uint32_t k = 0; k < f->ncoders; k++) {
        if (f->coders[k].method == SEVENZ_AES)
            return &f->coders[k];
    }
    return NULL;
}

static int try_passwords(struct archive_keys *keys, const struct sevenz_folder *f,
                         const uint8_t *packed, size_t len, uint8_t **data, enum archive_why *why)
{
    struct sevenz_aes aes;
    struct archive_cipher cipher = {.kind = ARCHIVE_AES256_CBC};
    unsigned n = archive_keys_count(keys);
    int err = 0;

    *why = n ? ARCHIVE_BAD_PASSWORD : ARCHIVE_NO_PASSWORD;
    if (!sevenz_aes_parse(aes_of(f), &aes)) {
        *why = ARCHIVE_CIPHER;
        return 0;
    }
    memcpy(cipher.iv, aes.iv, sizeof(cipher.iv));
    for (unsigned t = 0; t < n && !err && *why == ARCHIVE_BAD_PASSWORD; t++) {
        unsigned i = (archive_keys_first(keys) + t) % n;
        if (!archive_keys_7z(keys, i, aes.salt, aes.salt_len, aes.log2_rounds, cipher.key)) {
            *why = sevenz_aes_refused(&aes);
            break;
        }
        err = undo_all(f, &cipher, packed, len, data);
        if (*data && is_right(f, *data)) {
            archive_keys_worked(keys, i);
            *why = ARCHIVE_OK;
        } else {
            free(*data);
            *data = NULL;
        }
    }
    OPENSSL_cleanse(&cipher, sizeof(cipher));
    return err;
}

/** What we are to read and make is bounded, and of kinds that we know. */
static enum archive_why folder_check(const struct sevenz_streams *st, uint64_t end)
{
    const struct sevenz_folder *f = st->folders;

    if (!st->nfolders || !st->npacks)
        return ARCHIVE_DAMAGED;
    if (!f->ncoders || f->npacks != 1)
        return ARCHIVE_UNKNOWN;
    if (st->pack_off[0] > end || st->pack_len[0] > end - st->pack_off[0])
        return ARCHIVE_DAMAGED;
    if (st->pack_len[0] > ARCHIVE_HEADER)
        return ARCHIVE_TOO_MUCH;
    for (uint32_t k = 0; k < f->ncoders; k++) {
        if (f->coders[k].method == SEVENZ_OTHER)
            return ARCHIVE_UNKNOWN;
        if (f->coders[k].size > ARCHIVE_HEADER)
            return ARCHIVE_TOO_MUCH;
    }
    return ARCHIVE_OK;
}

int sevenz_unpack(struct archive_joined *j, const struct sevenz_streams *st, struct arena *a,
                  uint8_t **data, size_t *len, bool *proven, enum archive_why *why)
{
    const struct sevenz_folder *f = st->folders;
    uint8_t *made = NULL;

    *why = folder_check(st, j->size);
    if (*why)
        return 0;
    size_t packed_len = (size_t)st->pack_len[0];
    uint8_t *packed = malloc(packed_len ? packed_len : 1);
    if (!packed)
        return -ENOMEM;
    int err = archive_bytes_exact(&j->b, st->pack_off[0], packed, packed_len);
    if (!err && aes_of(f)) {
        err = try_passwords(j->set->keys, f, packed, packed_len, &made, why);
        *proven |= made != NULL;
    } else if (!err) {
        err = undo_all(f, NULL, packed, packed_len, &made);
        if (!err && (!made || !is_right(f, made)))
            *why = ARCHIVE_DAMAGED;
    }
    free(packed);
    if (!err && *why == ARCHIVE_OK) {
        *len = (size_t)f->size;
        *data = arena_alloc(a, *len, 1);
        if (*data)
            memcpy(*data, made, *len);
        else
            err = -ENOMEM;
    }
    free(made);
    return err;
}
