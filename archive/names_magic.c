/* names_magic — what a file is by its first bytes, and which extensions that may have. */
#include "archive/names.h"

#include <string.h>
#include <strings.h>

/* Bytes that stand at one place. */
struct magic {
    const char *bytes;
    uint16_t len, at;
    const char *ext;
};

#define MAGIC(text, at, ext)                                                                       \
    {                                                                                              \
        text, sizeof(text) - 1, at, ext                                                            \
    }

static const struct magic magics[] = {
    MAGIC("Rar!\x1a\x07", 0, ".rar"),
    MAGIC("7z\xbc\xaf\x27\x1c", 0, ".7z"),
    MAGIC("PAR2\0PKT", 0, ".par2"),
    MAGIC("\x30\x26\xb2\x75\x8e\x66\xcf\x11", 0, ".wmv"),
    MAGIC("FLV\x01", 0, ".flv"),
    MAGIC("fLaC", 0, ".flac"),
    MAGIC("ID3", 0, ".mp3"),
    MAGIC("MAC ", 0, ".ape"),
    MAGIC("wvpk", 0, ".wv"),
    MAGIC("\xff\xd8\xff", 0, ".jpg"),
    MAGIC("\x89PNG\r\n\x1a\n", 0, ".png"),
    MAGIC("GIF8", 0, ".gif"),
    MAGIC("%PDF-", 0, ".pdf"),
    MAGIC("DVDVIDEO-", 0, ".ifo"),
    MAGIC("\x00\x00\x01\xba", 0, ".mpg"),
    MAGIC("\x00\x00\x01\xb3", 0, ".mpg"),
    MAGIC("\x1f\x8b\x08", 0, ".gz"),
    MAGIC("\xfd"
          "7zXZ\0",
          0, ".xz"),
    MAGIC("moov", 4, ".mov"),
    MAGIC("mdat", 4, ".mov"),
    MAGIC("wide", 4, ".mov"),
    MAGIC("BOOKMOBI", 60, ".mobi"),
    MAGIC("CD001", 0x8001, ".iso"),
    MAGIC("BEA01", 0x8001, ".iso"),
};

/* Those that one kind of file goes by: the first is the one names_magic() gives. */
static const char *const kin[][24] = {
    {".mkv", ".webm", ".mka", ".mks", ".mk3d"},
    {".mp4", ".m4v", ".mov", ".m4a", ".m4b", ".3gp", ".3g2", ".qt", ".f4v", ".m4p", ".avif",
     ".heic"},
    {".avi", ".divx"},
    {".wav", ".w64", ".bwf"},
    {".ts", ".m2ts", ".mts", ".m2t", ".tp", ".trp", ".tsv", ".mpg"},
    {".mpg", ".mpeg", ".vob", ".m2v", ".mpe", ".m1v", ".evo", ".sub", ".m2p", ".dat"},
    {".wmv", ".asf", ".wma"},
    {".ogg", ".opus", ".ogv", ".oga", ".ogm", ".spx"},
    {".mp3", ".mp2", ".mpga"},
    {".ifo", ".bup"},
    {".jpg", ".jpeg", ".jpe", ".jfif", ".thm"},
    {".pdf", ".ai"},
    {".gz", ".tgz", ".svgz", ".emz"},
    {".xz", ".txz"},
    {".zip", ".epub", ".cbz", ".jar", ".apk", ".docx", ".xlsx", ".pptx", ".odt", ".ods",
     ".odp", ".xpi",  ".kmz", ".ipa", ".war", ".whl",  ".aar",  ".appx", ".crx", ".exe"},
    {".rar", ".cbr", ".exe"},
    {".7z", ".cb7", ".exe"},
    {".iso", ".img", ".bin", ".udf", ".mdf"},
    {".mobi", ".azw", ".azw3", ".prc"},
};

static bool has(const uint8_t *head, size_t len, size_t at, const char *bytes, size_t n)
{
    return at + n <= len && !memcmp(head + at, bytes, n);
}

/* ISO 14496-12 §4.3: a file type box names a brand. */
static const char *brand(const uint8_t *head, size_t len)
{
    static const struct magic brands[] = {
        MAGIC("qt  ", 8, ".mov"),  MAGIC("M4V", 8, ".m4v"),   MAGIC("M4A", 8, ".m4a"),
        MAGIC("M4B", 8, ".m4b"),   MAGIC("3gp", 8, ".3gp"),   MAGIC("3g2", 8, ".3g2"),
        MAGIC("f4v", 8, ".f4v"),   MAGIC("avif", 8, ".avif"), MAGIC("heic", 8, ".heic"),
        MAGIC("mif1", 8, ".heic"),
    };

    if (len < 12 || !has(head, len, 4, "ftyp", 4))
        return NULL;
    for (size_t i = 0; i < sizeof(brands) / sizeof(brands[0]); i++)
        if (has(head, len, brands[i].at, brands[i].bytes, brands[i].len))
            return brands[i].ext;
    return ".mp4";
}

/* EBML: Matroska and WebM differ by a word in the first element. */
static const char *ebml(const uint8_t *head, size_t len)
{
    if (!has(head, len, 0, "\x1a\x45\xdf\xa3", 4))
        return NULL;
    return memmem(head, len < 64 ? len : 64, "webm", 4) ? ".webm" : ".mkv";
}

static const char *riff(const uint8_t *head, size_t len)
{
    if (!has(head, len, 0, "RIFF", 4))
        return NULL;
    if (has(head, len, 8, "AVI ", 4))
        return ".avi";
    if (has(head, len, 8, "WAVE", 4))
        return ".wav";
    return has(head, len, 8, "WEBP", 4) ? ".webp" : NULL;
}

/* Packets of 188 bytes that begin with 0x47; on discs each has 4 bytes before it. Three in a row. */
static const char *transport(const uint8_t *head, size_t len)
{
    if (len > 376 && head[0] == 0x47 && head[188] == 0x47 && head[376] == 0x47)
        return ".ts";
    if (len > 388 && head[4] == 0x47 && head[196] == 0x47 && head[388] == 0x47)
        return ".m2ts";
    return NULL;
}

/* A container of its own kind says so in its first member, stored. */
static const char *zip(const uint8_t *head, size_t len)
{
    if (!has(head, len, 0, "PK\3\4", 4) && !has(head, len, 0, "PK\7\10PK\3\4", 8))
        return NULL;
    return has(head, len, 30, "mimetypeapplication/epub+zip", 28) ? ".epub" : ".zip";
}

static const char *ogg(const uint8_t *head, size_t len)
{
    if (!has(head, len, 0, "OggS", 4))
        return NULL;
    return has(head, len, 28, "OpusHead", 8) ? ".opus" : ".ogg";
}

/* Two frames of MPEG audio, layer III, the second where the first one ends (ISO 11172-3 §2.4.2.3). */
static const char *mp3(const uint8_t *head, size_t len)
{
    static const uint16_t kbit[] = {0,   32,  40,  48,  56,  64,  80, 96,
                                    112, 128, 160, 192, 224, 256, 320};
    static const uint16_t hertz[] = {44100, 48000, 32000};

    if (len < 4 || head[0] != 0xff || (head[1] & 0xfe) != 0xfa)
        return NULL;
    unsigned rate = head[2] >> 4, freq = head[2] >> 2 & 3, pad = head[2] >> 1 & 1;
    if (!rate || rate == 15 || freq == 3)
        return NULL;
    size_t next = 144000u * kbit[rate] / hertz[freq] + pad;
    return has(head, len, next, (const char *)head, 2) ? ".mp3" : NULL;
}

const char *names_magic(const uint8_t *head, size_t len)
{
    static const char *(*const ask[])(const uint8_t *, size_t) = {ebml, brand, riff,     zip,
                                                                  ogg,  mp3,   transport};

    for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++)
        if (has(head, len, magics[i].at, magics[i].bytes, magics[i].len))
            return magics[i].ext;
    for (size_t i = 0; i < sizeof(ask) / sizeof(ask[0]); i++) {
        const char *ext = ask[i](head, len);
        if (ext)
            return ext;
    }
    return NULL;
}

static bool together(const char *ext, const char *magic)
{
    for (size_t i = 0; i < sizeof(kin) / sizeof(kin[0]); i++) {
        bool a = false, b = false;
        for (size_t k = 0; k < sizeof(kin[i]) / sizeof(kin[i][0]) && kin[i][k]; k++) {
            a |= !strcasecmp(kin[i][k], ext);
            b |= !strcmp(kin[i][k], magic);
        }
        if (a && b)
            return true;
    }
    return false;
}

/* May a volume of this scheme begin with what `magic` says? A volume that is cut anywhere may begin with anything. */
static bool volume_fits(struct names_part p, const char *magic)
{
    switch (p.scheme) {
    case NAMES_NONE:
        return false;
    case NAMES_RAR_PART:
    case NAMES_RAR_OLD:
        return !strcmp(magic, ".rar");
    case NAMES_7Z:
        return p.volume || !strcmp(magic, ".7z");
    case NAMES_ZIP:
        return p.volume || !strcmp(magic, ".zip");
    case NAMES_SPLIT:
        return true;
    case NAMES_PAR2:
        return !strcmp(magic, ".par2");
    }
    return false;
}

bool names_magic_fits(const char *name, const uint8_t *head, size_t len)
{
    const char *magic = names_magic(head, len), *dot = strrchr(name, '.');

    if (!magic)
        return true;
    if (volume_fits(names_part(name), magic))
        return true;
    if (!dot || dot == name)
        return false;
    return !strcasecmp(dot, magic) || together(dot, magic);
}
