//! A reload applies changed settings.

use cmsg_config::{ConfFile, values::LogLevel};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{
    super::bind,
    world::{WAIT, conf},
    *,
};
use crate::{logs::Level, settings::Configuration};

#[tokio::test]
async fn the_log_level_and_timeouts_change_while_it_runs() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().to_owned();
    certificate(&run);
    let path = run.join("cm.conf");
    let write = |more: &str| {
        let lines = "PcoipAddress = https://127.0.0.1:1\nSecurityGatewayEnabled = false\n";
        let mut file = std::fs::File::create(&path).unwrap();
        io::Write::write_all(&mut file, conf(&run, &format!("{lines}{more}")).as_bytes()).unwrap();
        ConfFile::load(&path).unwrap()
    };
    let file = write("TlsHandshakeSeconds = 3600");
    let (level, stop) = (Level::from(LogLevel::Info), CancellationToken::new());
    let role = bind(cmsg_config::ConnectionManager::read(&file).unwrap().value).await.unwrap();
    role.follow(Configuration { path: path.clone(), file }, level.clone());
    let address = role.listens()[0].address;
    let served = tokio::spawn(role.serve(stop.clone()));
    let reload = async || {
        let run = run.clone();
        let reloading = move || socket::tell(&run, Role::Cm, "/reload", WAIT);
        tokio::task::spawn_blocking(reloading).await.unwrap()
    };

    write("TlsHandshakeSeconds = 1\nLogLevel = TRACE\nAgentPort = none");
    let refused = reload().await.unwrap_err().to_string();
    assert!(refused.contains("line 5: `AgentPort`: `none` is not a port"), "{refused}");
    assert_eq!(level.get(), LogLevel::Info);
    write("TlsHandshakeSeconds = 1\nLogLevel = TRACE");
    reload().await.unwrap();

    assert_eq!(level.get(), LogLevel::Trace);
    let mut silent = TcpStream::connect(address).await.unwrap();
    let closed = timeout(WAIT, silent.read(&mut [0; 16])).await.expect("after a second");
    assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");
    stop.cancel();
    served.await.unwrap().unwrap();
}
