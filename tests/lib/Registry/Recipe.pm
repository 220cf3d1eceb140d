package Registry::Recipe;
use v5.36;

# The recipes of the manuals for an existing nginx are run line by line, with a Debian that has a directory of its own.
#
#   my $site  = make_debian($root);                 # the port of the site that is there already
#   my ($changed, @lines) = adapt_recipe({ debian_values($root), listen => "127.0.0.1:$port" }, manual_examples(...));
#   works(run_recipe($root, @lines), 'the recipe');
#   is_stopped($root, $pid_file, $socket);

use Exporter 'import';
use Registry ();
use Registry::Process;
use Registry::Tools;
use Test::More;

our @EXPORT = qw(make_debian debian_values adapt_recipe run_recipe is_stopped);

# Debian's nginx as far as it matters: what its nginx.conf includes, and a site that is there already.
sub make_debian ($root) {
    mkdir $_ for $root, "$root/bin", "$root/run", "$root/lib", "$root/etc",
        map { "$root/etc/nginx$_" } '', '/conf.d', '/snippets', '/sites-enabled', '/www', '/temp';
    my $port = free_port();
    my $user = is_root() ? 'user www-data;' : '';
    my $temp = join ' ', map { "${_}_temp_path temp/$_;" } qw(client_body fastcgi proxy scgi uwsgi);
    spew("$root/etc/nginx/www/index.html", 'the site that was there');
    spew("$root/etc/nginx/nginx.conf", <<~"END");
        $user
        worker_processes auto;
        pid $root/run/nginx.pid;
        error_log $root/error.log;
        events { worker_connections 768; }
        http {
            access_log off;
            $temp
            gzip on;
            include $root/etc/nginx/conf.d/*.conf;
            include $root/etc/nginx/sites-enabled/*;
        }
        END
    spew("$root/etc/nginx/sites-enabled/default", <<~"END");
        server {
            listen 127.0.0.1:$port default_server;
            root $root/etc/nginx/www;
            server_name _;
            location / { try_files \$uri \$uri/ =404; }
        }
        END
    # The programs, by the names that one calls them by.
    symlink Registry->program, "$root/bin/docker-registry-server";
    my $nginx = find_program('nginx');
    spew("$root/bin/nginx", <<~"END");
        #!/bin/sh
        exec $nginx -p $root/etc/nginx/ -c $root/etc/nginx/nginx.conf -e $root/error.log "\$@"
        END
    chmod 0755, "$root/bin/nginx";
    return $port;
}

# The directories that a recipe gets instead of the machine's.
sub debian_values ($root) {
    return (data => "$root/lib/docker-registry-server", sockets => "$root/run/docker-registry-server", etc => "$root/etc");
}

# The values that the recipe tells its readers to change; nothing else is. Returns how many were changed, and the lines.
sub adapt_recipe ($values, @lines) {
    my $changed = 0;
    for my $line (@lines) {
        next if $line !~ /^(?:data|sockets|etc|name|listen|cert)=/;
        $changed += $line =~ s/(?<![\w-])$_=\S+/$_=$values->{$_}/ for sort keys %$values;
    }
    return ($changed, @lines);
}

# Option, as the last argument: env.
sub run_recipe ($root, @lines) {
    my %o = ref $lines[-1] ? %{ pop @lines } : ();
    return run([ 'sh', '-eu' ], stdin => join("\n", @lines, ''), env => { PATH => "$root/bin:$ENV{PATH}", %{ $o{env} // {} } },
        cwd => $root, timeout => 60);
}

sub is_stopped ($root, $pid, $socket) {
    is(run([ "$root/bin/nginx", '-s', 'stop' ])->{exit}, 0, 'nginx stops');
    my $master = slurp($pid) + 0;
    ok($master > 1, 'the registry runs') or return;
    kill 'TERM', $master;
    ok(wait_for(10, sub { !alive($master) }), '... and stops');
    ok(!-e $socket, '... with its sockets');
    return;
}

1;
