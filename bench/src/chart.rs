//! The two pictures, as SVG.

use crate::row::{CLIENT, FILES, FLOOR, HOST, KVFUSE, Row, SQLITE, WAL};
use kvfuse_curve::drive::Figures;
use kvfuse_curve::table::{thousands, us};
use std::fmt::Write;

const WIDTH: f64 = 800.0;
const GREY: &str = "#d5d5d5";
/// Colours that colour-blind readers can tell apart (Okabe and Ito's).
const COLOURS: [&str; 7] = ["#000000", "#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#d55e00", "#0072b2"];
const NAMES: [&str; 7] = [KVFUSE, WAL, FLOOR, FILES, SQLITE, CLIENT, HOST];

/// A logarithmic axis: where `from` to `to` lie between two places.
struct Axis {
    from: f64,
    to: f64,
    start: f64,
    end: f64,
}

impl Axis {
    /// Over all of these, in whole powers of ten.
    fn over(values: impl Iterator<Item = f64> + Clone, start: f64, end: f64) -> Self {
        let from = 10f64.powf(values.clone().fold(f64::INFINITY, f64::min).log10().floor());
        let to = 10f64.powf(values.fold(from * 10.0, f64::max).log10().ceil());
        Self { from, to, start, end }
    }

    fn place(&self, value: f64) -> f64 {
        let share = (value / self.from).log10() / (self.to / self.from).log10();
        self.start + share * (self.end - self.start)
    }

    fn powers(&self) -> impl Iterator<Item = f64> {
        let (first, last) = (self.from.log10().round() as i32, self.to.log10().round() as i32);
        (first..=last).map(|power| 10f64.powi(power))
    }
}

struct Picture(String);

impl Picture {
    fn new(height: f64, title: &str) -> Self {
        let mut picture = Self(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
             viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
        ));
        let _ = writeln!(picture.0, "<text x=\"10\" y=\"20\" font-size=\"14\" font-weight=\"bold\">{title}</text>");
        picture
    }

    /// `anchor` is start, middle or end.
    fn text(&mut self, x: f64, y: f64, anchor: &str, text: &str) {
        let _ = writeln!(self.0, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{text}</text>");
    }

    fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: &str, width: f64) {
        let _ = writeln!(
            self.0,
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\" stroke-width=\"{width}\"/>",
            from.0, from.1, to.0, to.1
        );
    }

    fn dot(&mut self, x: f64, y: f64, radius: f64, colour: &str) {
        let _ = writeln!(self.0, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{colour}\"/>");
    }

    /// Four names in a line.
    fn legend(&mut self, names: &[(&str, &str)]) {
        for (n, (name, colour)) in names.iter().enumerate() {
            let (x, y) = (16.0 + (n % 4) as f64 * 195.0, 44.0 + (n / 4) as f64 * 20.0);
            self.dot(x, y - 4.0, 5.0, colour);
            self.text(x + 10.0, y, "start", name);
        }
    }

    fn end(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }
}

fn axis_label(us: f64) -> String {
    if us < 1.0 { format!("{us} µs") } else { format!("{} µs", thousands(us as usize)) }
}

/// kvfuse beside its peers: a line for each figure that has times, a dot for each time.
pub fn peers(rows: &[Row]) -> String {
    const ROW: f64 = 22.0;
    const TOP: f64 = 102.0;
    let rows: Vec<&Row> = rows.iter().filter(|row| !row.times.is_empty()).collect();
    let bottom = TOP + rows.len() as f64 * ROW;
    let axis = Axis::over(rows.iter().flat_map(|row| &row.times).map(|(_, ns)| ns / 1000.0), 170.0, WIDTH - 110.0);
    let mut picture = Picture::new(bottom + 10.0, "Microseconds per operation (logarithmic; further left is faster)");
    let names: Vec<(&str, &str)> = NAMES.into_iter().zip(COLOURS).collect();
    picture.legend(&names);
    for power in axis.powers() {
        let x = axis.place(power);
        picture.line((x, TOP - 10.0), (x, bottom), GREY, 1.0);
        picture.text(x, TOP - 14.0, "middle", &axis_label(power));
    }
    picture.text(WIDTH - 10.0, TOP - 14.0, "end", KVFUSE);
    for (n, row) in rows.iter().enumerate() {
        let y = TOP + n as f64 * ROW + 8.0;
        picture.text(10.0, y + 4.0, "start", &row.figure);
        let places = || row.times.iter().map(|(_, ns)| axis.place(ns / 1000.0));
        let ends = (places().fold(f64::INFINITY, f64::min), places().fold(0.0, f64::max));
        picture.line((ends.0, y), (ends.1, y), GREY, 2.0);
        // kvfuse comes last, so that no other dot covers it.
        for (name, colour) in names.iter().rev() {
            for (_, ns) in row.times.iter().filter(|(whose, _)| whose == name) {
                picture.dot(axis.place(ns / 1000.0), y, if *name == KVFUSE { 6.0 } else { 4.5 }, colour);
                if *name == KVFUSE {
                    picture.text(WIDTH - 10.0, y + 4.0, "end", &format!("{} µs", us(*ns)));
                }
            }
        }
    }
    picture.end()
}

/// A way to take one figure.
type Taken = (&'static str, fn(&Figures) -> f64);

/// What four operations cost over the number of keys.
pub fn curve(all: &[Figures]) -> String {
    const OPERATIONS: [Taken; 4] = [
        ("get", |figures| figures.get),
        ("set", |figures| figures.set),
        ("increment", |figures| figures.increment),
        ("fill, in random order", |figures| figures.fill_random),
    ];
    let (width, height) = (WIDTH / 2.0, 250.0);
    let mut stores: Vec<&str> = Vec::new();
    all.iter().for_each(|figures| {
        if !stores.contains(&figures.store.as_str()) {
            stores.push(&figures.store);
        }
    });
    let mut picture =
        Picture::new(2.0 * height + 70.0, "Microseconds per operation over the number of keys (both logarithmic)");
    let names: Vec<(&str, &str)> = stores.iter().copied().zip(COLOURS).collect();
    picture.legend(&names);
    let times = all.iter().flat_map(|figures| OPERATIONS.iter().map(|(_, take)| take(figures) / 1000.0));
    for (n, (operation, take)) in OPERATIONS.iter().enumerate() {
        let (left, top) = ((n % 2) as f64 * width, 60.0 + (n / 2) as f64 * height);
        let down = Axis::over(times.clone(), top + height - 30.0, top + 30.0);
        let across = Axis::over(all.iter().map(|figures| figures.keys as f64), left + 60.0, left + width - 30.0);
        picture.text(left + 60.0, top + 18.0, "start", operation);
        for power in down.powers() {
            let y = down.place(power);
            picture.line((across.start, y), (across.end, y), GREY, 1.0);
            picture.text(left + 54.0, y + 4.0, "end", &axis_label(power));
        }
        for power in across.powers() {
            picture.text(across.place(power), down.start + 18.0, "middle", &thousands(power as usize));
        }
        for (store, colour) in names.iter().rev() {
            let points: Vec<(f64, f64)> = all
                .iter()
                .filter(|figures| figures.store == *store)
                .map(|figures| (across.place(figures.keys as f64), down.place(take(figures) / 1000.0)))
                .collect();
            points.windows(2).for_each(|pair| picture.line(pair[0], pair[1], colour, 2.0));
            points.iter().for_each(|(x, y)| picture.dot(*x, *y, 4.0, colour));
        }
    }
    picture.end()
}
