package Bench::Servers;
use v5.36;

# The servers that are measured, each with the settings that it comes with, but without a log of
# requests; and the limits, which are no registries. undef stands for one that isn't installed.

use Bench;
use Bench::Install qw(installed);
use Bench::Load;
use Bench::Server ();
use Cwd ();
use Exporter 'import';
use FindBin;
use Registry::Postgresql ();
use Registry::Tools qw(find_program free_port json_of spew);

our @EXPORT = qw(ours ours_postgresql ours_s3 peer distribution3 distribution_s3 zot plain_nginx file_nginx);

# Of the program that is named here, in REGISTRY_SERVER, or built in one of the usual places. Takes what
# Bench::Server->new takes, and more options of the program.
sub ours ($program = undef, %o) {
    my $top    = "$FindBin::Bin/../..";
    my @places = grep { defined } $program // $ENV{REGISTRY_SERVER},
        map({ ("$_/docker-registry-server", "$_/build/docker-registry-server") } '.', $top),
        find_program('docker-registry-server');
    my ($found) = grep { -f && -x } @places;
    die "no docker-registry-server: build it, or name it in REGISTRY_SERVER\n" if !defined $found;
    $found = Cwd::abs_path($found);
    return Bench::Server->new(
        name    => 'ours',
        about   => (split /\n/, command($found, '--version'))[0],
        program => $found,
        own     => 1,
        %o,
        command => sub ($dir, $port, $server) {
            my @tls = $server->{tls} ? ('--tls-cert', $server->{tls}[0], '--tls-key', $server->{tls}[1]) : ();
            my @beside = $o{beside} ? $o{beside}->($dir, $server) : ();
            return (@beside, $found, '--listen', '127.0.0.1', '--port', $port, '--dir', "$dir/data", @tls, @{ $o{more} // [] }, @{ $server->{blobs} // [] });
        },
    );
}

# With the metadata in PostgreSQL on this machine, to which each round trip takes so many milliseconds more.
sub ours_postgresql ($program, $milliseconds, %o) {
    return undef if !Registry::Postgresql->programs;
    my $name = 'ours-postgresql' . ($milliseconds ? "-${milliseconds}ms" : '');
    return ours($program, %o, name => $name, about => "with PostgreSQL on this machine" . ($milliseconds ? ", $milliseconds ms away" : ''),
        beside => sub ($dir, $server) { ("$FindBin::Bin/beside", 'postgresql', "$dir/postgresql", build_load(), $milliseconds) });
}

# With versitygw, for a directory and a port.
sub _beside_s3 ($dir, $port) { return ("$FindBin::Bin/beside", 's3', "$dir/s3", $port) }

# With the blobs in versitygw.
sub ours_s3 ($program, %o) {
    return undef if !find_program('versitygw');
    return ours($program, %o, name => 'ours-s3', about => 'with the blobs in versitygw', beside => sub ($dir, $server) {
        my $s3 = free_port();
        $server->{blobs} = [ '--blobs', "s3://layers/registry?endpoint=http://127.0.0.1:$s3" ];
        return _beside_s3($dir, $s3);
    });
}

# The file that registries of the family of distribution/distribution read. {s3} is the port of an S3 server.
sub _distribution_config ($dir, $port, $server) {
    my $s3 = $server->{s3};
    my $driver = $s3
        ? "  s3:\n    region: us-east-1\n    regionendpoint: http://127.0.0.1:$s3\n    forcepathstyle: true\n    secure: false\n"
            . "    bucket: layers\n    accesskey: KEY\n    secretkey: SECRET\n"
        : "  filesystem:\n    rootdirectory: $dir/data\n";
    my $tls  = $server->{tls}   ? "  tls:\n    certificate: $server->{tls}[0]\n    key: $server->{tls}[1]\n" : '';
    my $auth = $server->{users} ? "auth:\n  htpasswd:\n    realm: bench\n    path: $server->{users}\n"      : '';
    return spew("$dir/config.yml", <<~END . $tls . $auth);
        version: 0.1
        log:
          level: error
          accesslog:
            disabled: true
        storage:
          cache:
            blobdescriptor: inmemory
          delete:
            enabled: true
        ${driver}http:
          addr: 127.0.0.1:$port
          secret: bench
        END
}

# Options: beside, with the command that comes before it.
sub _distribution ($name, $program, %o) {
    return undef if !defined $program;
    return Bench::Server->new(
        name    => $name,
        about   => "$name " . (command($program, '--version') =~ / v?([\d.]+\S*)$/m ? $1 : ''),
        program => $program,
        command => sub ($dir, $port, $server) {
            my @beside = $o{beside} ? $o{beside}->($dir, $server) : ();
            return (@beside, 'env', 'OTEL_TRACES_EXPORTER=none', $program, 'serve', _distribution_config($dir, $port, $server));
        },
    );
}

# Debian's.
sub peer () { return _distribution('docker-registry', find_program('docker-registry')) }

sub distribution3 () { return _distribution('distribution3', installed('registry')) }

# Either of them, with its files in versitygw.
sub distribution_s3 () {
    return undef if !find_program('versitygw');
    my $program = installed('registry') // find_program('docker-registry');
    return _distribution('distribution-s3', $program, beside => sub ($dir, $server) { _beside_s3($dir, $server->{s3} = free_port()) });
}

sub zot () {
    my $program = installed('zot') // return undef;
    return Bench::Server->new(
        name    => 'zot',
        about   => 'zot ' . (command('sh', '-c', '"$0" --version 2>&1', $program) =~ /v(\d+\.\d+\.\d+)/ ? $1 : ''),
        program => $program,
        command => sub ($dir, $port, $server) {
            my %http = (address => '127.0.0.1', port => "$port");
            $http{tls}  = { cert => $server->{tls}[0], key => $server->{tls}[1] } if $server->{tls};
            $http{auth} = { htpasswd => { path => $server->{users} } } if $server->{users};
            return ($program, 'serve', spew("$dir/config.json", json_of({
                distSpecVersion => '1.1.0',
                storage         => { rootDirectory => "$dir/data" },
                http            => \%http,
                log             => { level => 'error' },
            })));
        },
    );
}

sub _nginx_version ($program) { return command('sh', '-c', '"$0" -v 2>&1', $program) =~ m{nginx/(\S+)} ? $1 : '' }

# nginx with nothing behind it: PUT /put keeps the body in a file and answers with the file's name;
# GET /body/… serves it. Its settings are those that were the fastest for either.
sub plain_nginx () {
    my $program = find_program('nginx') // die "nginx is not installed\n";
    return Bench::Server->new(
        name    => 'nginx',
        about   => 'nginx ' . _nginx_version($program),
        ready   => '/ready',
        command => sub ($dir, $port, $server) {
            my $temp = join "\n    ", map { "${_}_temp_path $dir/$_;" } qw(fastcgi proxy scgi uwsgi);
            my $conf = spew("$dir/nginx.conf", <<~END);
                daemon off;
                worker_processes 2;
                error_log stderr warn;
                pid $dir/pid;
                events { worker_connections 512; }
                http {
                    access_log off;
                    default_type application/octet-stream;
                    $temp
                    client_body_temp_path $dir/body;
                    client_body_buffer_size 256k;
                    client_max_body_size 0;
                    sendfile on;
                    tcp_nopush on;
                    server {
                        listen 127.0.0.1:$port;
                        root $dir;
                        location = /put {
                            client_body_in_file_only on;
                            proxy_pass_request_body off;
                            proxy_set_header Content-Length "";
                            proxy_set_header X-File \$request_body_file;
                            proxy_pass http://127.0.0.1:$port/name;
                        }
                        location = /name { return 200 \$http_x_file; }
                        location = /ready { return 200; }
                    }
                }
                END
            return ($program, '-p', "$dir/", '-c', $conf, '-e', 'stderr');
        },
    );
}


# nginx that serves the files below site/ of its directory, by its usual settings for that.
sub file_nginx () {
    my $program = find_program('nginx') // return undef;
    return Bench::Server->new(
        name    => 'nginx',
        about   => 'nginx ' . _nginx_version($program) . ', files alone',
        ready   => '/ready',
        limit   => 1,
        command => sub ($dir, $port, $server) {
            my $temp = join "\n    ", map { "${_}_temp_path $dir/$_;" } qw(client_body fastcgi proxy scgi uwsgi);
            my $tls  = $server->{tls} ? "ssl_certificate $server->{tls}[0]; ssl_certificate_key $server->{tls}[1];" : '';
            my $ssl  = $server->{tls} ? ' ssl' : '';
            my $conf = spew("$dir/nginx.conf", <<~END);
                daemon off;
                worker_processes auto;
                error_log stderr warn;
                pid $dir/pid;
                events { worker_connections 4096; }
                http {
                    access_log off;
                    default_type application/octet-stream;
                    $temp
                    sendfile on;
                    tcp_nopush on;
                    keepalive_requests 1000000;
                    $tls
                    server {
                        listen 127.0.0.1:$port$ssl;
                        root $dir/site;
                        location = /ready { return 200; }
                    }
                }
                END
            return ($program, '-p', "$dir/", '-c', $conf, '-e', 'stderr');
        },
    );
}

1;
