/* Says what the layers are; sessions measure those of images that do. */
#define LAYER(number)                                                                                              \
    "{\"layer\":" number ",\"operator\":" number ",\"kind\":\"MADE_UP\",\"kernel\":\"none\",\"output\":[1],"              \
    "\"macs\":0,\"bytes_moved\":0,\"parameters\":0}"

static const char layers[] __attribute__((section(".hil_layers"), used)) =
    "{\"version\":1,\"layers\":[" LAYER("0") "," LAYER("1") "," LAYER("2") "]}";
