#pragma once

#include <stddef.h>

namespace stemma {

/** Addresses that nothing stands behind yet, aligned to 2 MB; null when there are not that many. */
char* reserveAddresses(size_t bytes);

/** Makes reserved addresses usable, with huge pages where the system has them. */
bool commitPages(char* start, size_t bytes);

/** Gives the memory behind whole pages back; the addresses stay usable, with undefined contents. */
void discardPages(char* start, size_t bytes);

size_t systemPageBytes();

}  // namespace stemma
