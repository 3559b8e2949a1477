;; The provider's memory behind functions, for an adapter that has the consumer's and may have no other.
(module
  (import "provider" "memory" (memory $provider 0))
  (func $not_aligned unreachable)
  (func $out_of_bounds unreachable)
  (func $not_utf8 unreachable)
  (export "range" (func $provider_range))
  (export "utf8" (func $provider_utf8))
{MEMORY}
{ACCESS})
