;; Opens buckets with a label before their names. The names in braces are filled in by opened.rs.
(component
  (import "{TYPES}" (instance $types
    (export "bucket" (type (sub resource)))
    (type $cases (variant
      (case "no-such-store")
      (case "access-denied")
      (case "invalid-argument")
      (case "precondition-failed")
      (case "timeout")
      (case "store-unavailable")
      (case "quota-exceeded")
      (case "other" string)))
    (export "error" (type (eq $cases)))))
  (alias export $types "bucket" (type $bucket))
  (alias export $types "error" (type $error))
  (type $opening (instance
    (alias outer 1 $bucket (type $outer-bucket))
    (export "bucket" (type $bucket (eq $outer-bucket)))
    (alias outer 1 $error (type $outer-error))
    (export "error" (type $error (eq $outer-error)))
    (type $own (own $bucket))
    (type $result (result $own (error $error)))
    (type $open (func async (param "identifier" string) (result $result)))
    (export "open" (func (type $open)))))
  (import "{STORE}" (instance $store (type $opening)))

  ;; A memory, and an allocator that only ever goes on: all of it is free again when a call is over. Calls follow each other,
  ;; because they are lifted synchronously.
  (core module $memory
    (memory (export "memory") 2)
    (global $free (export "free") (mut i32) (i32.const 65536))
    (data (i32.const {LABEL_AT}) "{LABEL}")
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
  (alias export $store "open" (func $open))
  (core func $ask (canon lower (func $open)
    (memory (core memory $memory "memory")) (realloc (core func $memory "realloc")) string-encoding=utf8))

  ;; The result is at the address 0.
  (core module $main
    (import "memory" "memory" (memory 2))
    (import "memory" "free" (global $free (mut i32)))
    (import "memory" "realloc" (func $realloc (param i32 i32 i32 i32) (result i32)))
    (import "store" "open" (func $ask (param i32 i32 i32)))
    (func (export "open") (param $name i32) (param $size i32) (result i32)
      (local $at i32)
      (local.set $at (call $realloc (i32.const 0) (i32.const 0) (i32.const 1)
        (i32.add (local.get $size) (i32.const {LABEL_SIZE}))))
      (memory.copy (local.get $at) (i32.const {LABEL_AT}) (i32.const {LABEL_SIZE}))
      (memory.copy (i32.add (local.get $at) (i32.const {LABEL_SIZE})) (local.get $name) (local.get $size))
      (call $ask (local.get $at) (i32.add (local.get $size) (i32.const {LABEL_SIZE})) (i32.const 0))
      (i32.const 0))
    (func (export "done") (param i32)
      (global.set $free (i32.const 65536))))
  (core instance $main (instantiate $main
    (with "memory" (instance $memory))
    (with "store" (instance (export "open" (func $ask))))))
  (type $own (own $bucket))
  (type $result (result $own (error $error)))
  (type $opens (func async (param "identifier" string) (result $result)))
  (func $opened (type $opens) (canon lift (core func $main "open")
    (memory (core memory $memory "memory")) (realloc (core func $memory "realloc")) (post-return (core func $main "done"))
    string-encoding=utf8))
  ;; A type of its own, as an export has in every component: its parts are told apart by where they were defined.
  (type $opened-type (instance
    (alias outer 1 $bucket (type $outer-bucket))
    (export "bucket" (type $bucket (eq $outer-bucket)))
    (alias outer 1 $error (type $outer-error))
    (export "error" (type $error (eq $outer-error)))
    (type $own (own $bucket))
    (type $result (result $own (error $error)))
    (type $open (func async (param "identifier" string) (result $result)))
    (export "open" (func (type $open)))))
  (instance $labelled
    (export "bucket" (type $bucket))
    (export "error" (type $error))
    (export "open" (func $opened)))
  (export "{STORE}" (instance $labelled) (instance (type $opened-type))))
