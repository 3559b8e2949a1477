/// To come.
pub struct WasiHttp;
