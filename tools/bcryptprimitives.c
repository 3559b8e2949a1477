// The one function of bcryptprimitives.dll that programs in Rust call, for a Wine that lacks that library.

#include <windows.h>

// Random bytes, from advapi32.
BOOLEAN NTAPI SystemFunction036(PVOID data, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T length) {
  return SystemFunction036(data, (ULONG)length);
}
