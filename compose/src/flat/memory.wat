  ;; Checks a range of {M}'s memory, and that it begins at a multiple of the alignment, whose bits below are the mask.
  (func ${M}_range (param $at i32) (param $size i32) (param $mask i32)
    (if (i32.and (local.get $at) (local.get $mask)) (then (call $not_aligned)))
    (if (i64.gt_u
          (i64.add (i64.extend_i32_u (local.get $at)) (i64.extend_i32_u (local.get $size)))
          (i64.shl (i64.extend_i32_u (memory.size ${M})) (i64.const 16)))
      (then (call $out_of_bounds))))
