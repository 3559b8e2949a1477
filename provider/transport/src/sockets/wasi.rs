/// To come.
pub struct WasiNetwork;
