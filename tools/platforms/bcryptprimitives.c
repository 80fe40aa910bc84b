// Rust's standard library takes random numbers from Windows' bcryptprimitives.dll, which wine 8 (Debian 12) does not have:
// this is all that Rust needs of it. emulators.mjs puts it among wine's own.

#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T length) {
  return SystemFunction036(data, (ULONG)length);
}
