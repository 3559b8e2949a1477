;; The handles of one side: the consumer's, or the provider's own. They are numbered as a runtime does it: from 1, and the
;; one that became free last is taken first.
(module
  ;; An entry has 8 bytes. One in use: the kind of its resource, from 1, and what the provider knows it by. A free one: 0,
  ;; and the place of the next free entry.
  (memory 1)
  ;; The place of the first free entry, and how many entries there are.
  (global $free (mut i32) (i32.const 0))
  (global $count (mut i32) (i32.const 0))
  ;; Whether a call is under way. It is the consumer's table that counts.
  (global (export "busy") (mut i32) (i32.const 0))

  (func $too_many_handles unreachable)
  (func $unknown_handle unreachable)

  (func (export "new") (param $kind i32) (param $rep i32) (result i32)
    (local $place i32) (local $at i32)
    (local.set $place (global.get $free))
    (local.set $at (i32.shl (local.get $place) (i32.const 3)))
    (if (i32.eq (local.get $place) (global.get $count))
      (then
        (if (i32.ge_u (local.get $place) (i32.const 0xfffffff)) (then (call $too_many_handles)))
        (if (i32.ge_u (i32.shr_u (local.get $at) (i32.const 16)) (memory.size))
          (then (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then (call $too_many_handles)))))
        (global.set $count (i32.add (global.get $count) (i32.const 1)))
        (global.set $free (global.get $count)))
      (else (global.set $free (i32.load offset=4 (local.get $at)))))
    (i32.store (local.get $at) (local.get $kind))
    (i32.store offset=4 (local.get $at) (local.get $rep))
    (i32.add (local.get $place) (i32.const 1)))

  ;; Where the entry of a handle is. A number that is no handle, or one of another kind, is a trap. So is 0.
  (func $at (param $kind i32) (param $handle i32) (result i32)
    (local.set $handle (i32.sub (local.get $handle) (i32.const 1)))
    (if (i32.ge_u (local.get $handle) (global.get $count)) (then (call $unknown_handle)))
    (local.set $handle (i32.shl (local.get $handle) (i32.const 3)))
    (if (i32.ne (i32.load (local.get $handle)) (local.get $kind)) (then (call $unknown_handle)))
    (local.get $handle))

  (func (export "rep") (param $kind i32) (param $handle i32) (result i32)
    (i32.load offset=4 (call $at (local.get $kind) (local.get $handle))))

  (func (export "take") (param $kind i32) (param $handle i32) (result i32)
    (local $at i32) (local $rep i32)
    (local.set $at (call $at (local.get $kind) (local.get $handle)))
    (local.set $rep (i32.load offset=4 (local.get $at)))
    (i32.store (local.get $at) (i32.const 0))
    (i32.store offset=4 (local.get $at) (global.get $free))
    (global.set $free (i32.sub (local.get $handle) (i32.const 1)))
    (local.get $rep)))
