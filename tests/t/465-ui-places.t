# The web page over TLS, below a path of another site, beside a site of an existing nginx whose users are the site's, and with
# very many repositories, tags and files.
use v5.36;
use Registry limit => 180;
use Registry::Browser;
use Registry::Checks;
use Registry::Layers;
use Registry::Manual;
use Registry::Nginx;
use Registry::Tools;
use Test::More;
use Time::HiRes qw(time);

BEGIN { need('chromium', 'chromedriver', 'openssl') }

my $browser = Registry::Browser->start;

subtest 'over TLS' => sub {
    my $tmp = tempdir();
    my ($cert, $key) = make_certificate($tmp, 'registry');
    my $registry = Registry->start(args => [ '--tls-cert', $cert, '--tls-key', $key, '--user', 'ann:secret' ]);
    my $page     = 'https://127.0.0.1:' . $registry->port . '/ui';
    $browser->go("$page/_login");
    $browser->type('input[name=user]',     'ann');
    $browser->type('input[name=password]', 'secret{Enter}');
    ok($browser->sees('.state', 'No repositories yet'), 'a login, and an empty registry');
    ok(!$browser->find('form .problem', 'encrypted'), 'no warning of a connection that is not encrypted');
    $browser->reload;
    ok($browser->sees('.user', 'ann'), 'a reload keeps the login');
    $registry->stop;
};

subtest 'below a path' => sub {
    my $registry = Registry->start(args => [ '--user', 'ann:secret', '--anonymous-pull' ]);
    my $ann      = $registry->with(user => 'ann:secret');
    push_layers($ann, 'team/app', 'v1', gzip_layer(tar_of('d etc/', 'f etc/motd hello')));
    my $port   = $registry->port;
    my $recipe = join "\n", grep { /^location/ .. /^\}/ } manual_examples('ui.7', 'SERVING');
    is($recipe =~ s/127\.0\.0\.1:8000/127.0.0.1:$port/, 1, 'the recipe of the manual');
    my $site   = Registry::Nginx->start(server => "root www;\nlocation / { return 200 'the site'; }\n$recipe");
    my $page   = 'http://127.0.0.1:' . $site->port . '/registry/ui';
    $browser->go('http://127.0.0.1:' . $site->port . '/registry/');
    ok($browser->sees('.row.repo', 'app'), 'the repositories');
    is($browser->url, "$page/", '... below the path');
    $browser->click('.row.repo a', 'app');
    $browser->click('.row.tag a',  'v1');
    $browser->click('.tabs a',     'Files');
    $browser->click('.row.file a', 'etc');
    $browser->click('.row.file a', 'motd');
    ok($browser->sees('.code', 'hello'), 'a file');
    is($browser->url, "$page/team/app:v1/files/etc/motd", '... at its address');
    $browser->reload;
    ok($browser->sees('.code', 'hello'), 'a reload of a deep link');
    $browser->go("$page/_login");
    $browser->type('input[name=user]',     'ann');
    $browser->type('input[name=password]', 'secret{Enter}');
    ok($browser->sees('.user', 'ann'), 'a login');
    $browser->go("$page/team/app");
    $browser->click('input[aria-label="Choose v1"]');
    $browser->click('.actions button', 'Delete');
    $browser->click('dialog button.danger');
    ok($browser->sees('.notice', 'Deleted 1 tag'), 'something is deleted');
    $browser->go("$page/_events");
    ok($browser->sees('p[role=status]', 'live'), 'events come');
    push_layers($ann, 'team/app', 'v2', gzip_layer(tar_of('f a b')));
    ok(wait_for(30, sub { $browser->go("$page/_storage"); $browser->sees('.card.number', 'Repositories'); $browser->text('main') =~ /^1 tag$/m }), 'the storage has one tag, without a plural') or diag($browser->text('main'));
    $site->stop;
};

subtest 'users of the site' => sub {
    my $tmp      = tempdir();
    my $registry = Registry->start(dir => "$tmp/data", fastcgi => "$tmp/s", args => ['--trust-remote-user']);
    my @options  = ('--dir', "$tmp/data", '--fastcgi', "$tmp/s", '--trust-remote-user');
    my $site     = Registry::Nginx->start(
        files => { users => "carl:{PLAIN}pass\n", map { ("$_.conf" => Registry->try([ 'print-nginx-conf', "--$_", @options ])->{out}) } 'http', 'server' },
        http   => "include http.conf;\nvariables_hash_max_size 2048;",
        server => "auth_basic site;\nauth_basic_user_file users;\nset \$registry_remote_user_main \$remote_user;\ninclude server.conf;",
    );
    ok($site, 'nginx') or return diag(Registry::Nginx->last_words);
    push_layers($site->client(0, user => 'carl:pass'), 'team/app', 'v1', gzip_layer(tar_of('f etc/motd hello')));
    is_status($site->client->get('/ui/'), 401, 'the site asks for its password');
    $browser->go('http://carl:pass@127.0.0.1:' . $site->port . '/ui/');
    ok($browser->sees('.row.repo', 'app'), 'the browser has it');
    ok($browser->sees('.user', 'carl'), '... and the page knows the user');
    ok(!$browser->find('.user button', 'Log out'), '... whom the site logs out');
    $site->stop;
};

subtest 'very many' => sub {
    my $registry = Registry->start;
    my ($config, $manifest) = $registry->push_parts('many/tags');
    ok(defined $registry->push_tags('many/tags', $manifest, map { sprintf 'v1.%d', $_ } 1 .. 1500), '1,500 tags');
    push_layers($registry, 'many/files', 'v1', gzip_layer(tar_of('d many/', map { sprintf 'f many/file%05d x', $_ } 1 .. 20_000)));
    wait_for(30, sub { $registry->get('/v2/many/files/_image/v1/tree')->status == 200 });
    my $page = 'http://127.0.0.1:' . $registry->port . '/ui';
    $browser->go("$page/many/tags");
    ok($browser->sees('.row.tag', 'v1.1'), 'the tags');
    cmp_ok(scalar($browser->texts('.row.tag')), '<', 100, '... of which only those that can be seen are in the document');
    $browser->js('document.querySelector(".row.tag a").focus()');
    ok(wait_for(30, sub { $browser->press('End'); $browser->find('.row.tag .name', 'v1.1500') }), 'End leads to the last one');
    cmp_ok(scalar($browser->texts('.row.tag')), '<', 150, '... with as few in the document');
    my $began = time;
    $browser->go("$page/many/files:v1/files/many/");
    ok($browser->sees('.row.file', 'file00001'), '20,000 files');
    cmp_ok(time - $began, '<', 10, '... without waiting');
    cmp_ok(scalar($browser->texts('.row.file')), '<', 100, '... of which few are in the document');
    $browser->go("$page/many/files:v1/files/many/file19999");
    ok($browser->sees('.row.file a[aria-current]', 'file19999'), 'a file at the end is found in the tree') or diag($browser->text('main'));
};

subtest 'the page without its registry' => sub {
    my $registry = Registry->start;
    my $site     = Registry::Nginx->start(server => 'location = /v2/ { return 444; } location / { proxy_pass http://127.0.0.1:' . $registry->port . '; }');
    ok($site, 'a proxy') or return diag(Registry::Nginx->last_words);
    $browser->go('http://127.0.0.1:' . $site->port . '/ui/');
    ok($browser->sees('main', 'be reached'), 'says that it cannot be reached');
    $site->stop;
};

is_deeply([ $browser->complaints ], [], 'the console has no complaints');
finish();
