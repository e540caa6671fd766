//! Producer and consumers over bounded channels, as one would write it with goroutines: numbers in, squares out.

use seawall::tasks::{Overflow, Tasks, channel};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let tasks = Tasks::default();
    let (numbers, inbox) = channel(16, Overflow::Wait)?;
    let (squares, results) = channel(16, Overflow::Wait)?;
    tasks.spawn("producer", async move {
        for number in 1..=100_u64 {
            if numbers.send(number).await.is_err() {
                return; // nobody is left to work on it
            }
        }
    })?;
    for _ in 0..4 {
        let (inbox, squares) = (inbox.clone(), squares.clone());
        tasks.spawn("consumer", async move {
            while let Some(number) = inbox.recv().await {
                if squares.send(number * number).await.is_err() {
                    return;
                }
            }
        })?;
    }
    drop((inbox, squares));
    let mut sum = 0;
    while let Some(square) = results.recv().await {
        sum += square;
    }
    tasks.drained().await;
    println!("the sum of the squares is {sum}");
    Ok(())
}
