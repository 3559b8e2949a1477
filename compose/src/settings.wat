;; An environment that has more variables than the host's. The names in braces are filled in by settings.rs.
(component
  (import "{ENVIRONMENT}" (instance $host
    (export "get-environment" (func (result (list (tuple string string)))))))

  ;; A memory, and an allocator that only ever goes on: all of it is free again when the environment is asked for again.
  (core module $memory
    (memory (export "memory") {PAGES})
    (global $free (export "free") (mut i32) (i32.const {FREE}))
    (data (i32.const {STRINGS_AT}) "{STRINGS}")
    (data (i32.const {DEFAULTS_AT}) "{DEFAULTS}")
    (data (i32.const {FIXED_AT}) "{FIXED}")
    (func (export "realloc") (param $old i32) (param $old-size i32) (param $align i32) (param $size i32) (result i32)
      (local $at i32) (local $end i32) (local $missing i32)
      ;; The next multiple of the alignment, which is a power of two.
      (local.set $at (i32.and
        (i32.add (global.get $free) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
      (local.set $end (i32.add (local.get $at) (local.get $size)))
      ;; More than the address space has.
      (if (i32.lt_u (local.get $end) (local.get $at)) (then unreachable))
      (local.set $missing (i32.sub
        (i32.shr_u (i32.add (local.get $end) (i32.const 65535)) (i32.const 16))
        (memory.size)))
      (if (i32.gt_s (local.get $missing) (i32.const 0))
        (then (if (i32.eq (memory.grow (local.get $missing)) (i32.const -1)) (then unreachable))))
      (global.set $free (local.get $end))
      (memory.copy (local.get $at) (local.get $old)
        (select (local.get $old-size) (local.get $size) (i32.lt_u (local.get $old-size) (local.get $size))))
      (local.get $at)))
  (core instance $memory (instantiate $memory))
  (alias export $host "get-environment" (func $host-environment))
  (core func $ask (canon lower (func $host-environment)
    (memory (core memory $memory "memory")) (realloc (core func $memory "realloc")) string-encoding=utf8))

  ;; The host's answer is an address and a number of variables at the address 0; ours is one at the address 8.
  (core module $main
    (import "memory" "memory" (memory {PAGES}))
    (import "memory" "free" (global $free (mut i32)))
    (import "memory" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
    (import "host" "get-environment" (func $ask (param i32)))
    (func (export "get-environment") (result i32)
      (local $list i32) (local $at i32) (local $size i32)
      (global.set $free (i32.const {FREE}))
      (call $ask (i32.const 0))
      (local.set $size (i32.mul (i32.load (i32.const 4)) (i32.const 16)))
      (local.set $list (call $realloc (i32.const 0) (i32.const 0) (i32.const 4)
        (i32.add (local.get $size) (i32.add (i32.const {DEFAULTS_SIZE}) (i32.const {FIXED_SIZE})))))
      (local.set $at (local.get $list))
      (memory.copy (local.get $at) (i32.const {DEFAULTS_AT}) (i32.const {DEFAULTS_SIZE}))
      (local.set $at (i32.add (local.get $at) (i32.const {DEFAULTS_SIZE})))
      (memory.copy (local.get $at) (i32.load (i32.const 0)) (local.get $size))
      (local.set $at (i32.add (local.get $at) (local.get $size)))
      (memory.copy (local.get $at) (i32.const {FIXED_AT}) (i32.const {FIXED_SIZE}))
      (i32.store (i32.const 8) (local.get $list))
      (i32.store (i32.const 12) (i32.add (i32.load (i32.const 4)) (i32.const {OWN})))
      (i32.const 8)))
  (core instance $main (instantiate $main
    (with "memory" (instance $memory))
    (with "host" (instance (export "get-environment" (func $ask))))))
  (func $environment (result (list (tuple string string)))
    (canon lift (core func $main "get-environment") (memory (core memory $memory "memory")) string-encoding=utf8))
  (instance $settings (export "get-environment" (func $environment)))
  (export "{ENVIRONMENT}" (instance $settings)))
