use fastly_api::apis::{configuration::Configuration, user_api::get_current_user};

pub async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The token is taken from FASTLY_API_TOKEN.
    let mut configuration =
        Configuration { base_path: std::env::var("KEYGATE_URL")?, ..Configuration::default() };
    let user = get_current_user(&mut configuration).await?;
    println!("{}", user.login.unwrap_or_default());
    Ok(())
}
