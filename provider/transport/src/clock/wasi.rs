/// To come.
pub struct WasiClock;
