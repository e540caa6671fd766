//! A form with files: small ones in memory, large ones on disk, all of them bound.

use seawall::prelude::*;

const PAGE: &str = "<!doctype html><title>Upload</title>
<form method=post enctype=multipart/form-data><input type=file name=file multiple><button>Send</button></form>";

fn main() -> Result<()> {
    App::new().get("/", async || Html(PAGE)).post("/", receive).run("127.0.0.1:8080")
}

async fn receive(form: MultipartForm) -> Json<Vec<(String, u64)>> {
    Json(form.files.iter().map(|file| (file.file_name().to_owned(), file.len())).collect())
}
