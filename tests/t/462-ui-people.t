# The web page for people: with users, rules and without a login; login and logout; deleting, undoing, and what may not be done.
use v5.36;
use Registry limit => 120;
use Registry::Browser;
use Registry::Checks;
use Registry::Layers;
use Registry::People;
use Registry::Tools;
use Test::More;

BEGIN { need('chromium', 'chromedriver') }

my ($registry, $ann) = start_with_people(args => [ '--on-tag', 'echo "<b>$2</b>"; echo "no such host" >&2; exit 3', '--hook-retries', '0' ], expected => qr/hook failed|a hook failed too often/);
push_layers($ann, 'team/app', $_, gzip_layer(tar_of("f etc/motd $_"))) for '1.0', '1.1', '2.0';
push_layers($ann, 'public/tool', 'v1', gzip_layer(tar_of('f a b')));
push_layers($ann, 'secret/x',    'v1', gzip_layer(tar_of('f a b')));
my $manifest = $ann->get('/v2/team/app/manifests/2.0', headers => { Accept => $Registry::Client::TYPE{manifest} })->content;
is_status($ann->put_manifest('team/app', 'latest', $manifest), 201, 'two tags of one image');

my $browser = Registry::Browser->start;
my $page    = 'http://127.0.0.1:' . $registry->port . '/ui';
sub names () { return join ' ', map { s/\s+/ /gr } grep { length } $browser->texts('.rows li .name') }
sub is_at ($path, $name) { return is($browser->url =~ s/^\Q$page\E//r, $path, $name) }

sub log_in ($user, $password) {
    $browser->type('input[name=user]',     $user);
    $browser->type('input[name=password]', "$password\{Enter}");
    return;
}

subtest 'without a login' => sub {
    $browser->go("$page/");
    ok($browser->sees('.row.repo', 'tool'), 'what everybody may pull');
    is(names(), 'public/ tool', '... and nothing else');
    $browser->go("$page/team/app:1.0/files/etc/motd");
    ok($browser->sees('.state.forbidden', 'Log in to see this'), 'another repository is closed');
    unlike($browser->text('.state.forbidden'), qr/WWW-Authenticate/, '... without the hint, which is for programs');
    $browser->click('.state a', 'Log in');
    ok($browser->sees('h1', 'Log in'), 'the login');
    log_in('bob', 'wrong');
    ok($browser->sees('.problem', 'wrong'), 'a wrong password');
    log_in('bob', 'second');
    ok($browser->sees('.code', '1.0'), 'with the right one the page that was asked for');
    is_at('/team/app:1.0/files/etc/motd', '... at its address');
};

subtest 'who may only pull' => sub {
    ok($browser->sees('.user', 'bob'), 'the page says who it is');
    $browser->go("$page/");
    ok($browser->sees('.row.repo', 'app'), 'the repositories');
    is(names(), 'public/ tool team/ app', '... of bob');
    $browser->go("$page/secret/x");
    ok($browser->sees('.state.forbidden', 'You may not see this'), 'what he may not see');
    $browser->go("$page/team/app");
    $browser->click('input[aria-label="Choose 1.0"]');
    ok($browser->sees('.actions', 'no right to delete'), 'he may not delete');
    $browser->click('.user a', 'bob');
    $browser->type('input[name=repository]', 'team/app{Enter}');
    ok($browser->sees('dd', 'You may read tags'), 'what he may do');
    ok($browser->sees('dd', 'You may not delete'), '... and what not');
    $browser->go("$page/_storage");
    ok($browser->sees('.state.forbidden'), 'the storage is for administrators');
    $browser->go("$page/_hooks");
    ok($browser->sees('.state.forbidden'), '... and so are the hooks');
    $browser->go("$page/team/app:1.0/files/etc/motd");
    $browser->click('.pane button', 'Download');
    is($browser->downloaded('motd'), '1.0', 'a download with a login');
    $browser->click('.user a', 'bob');
    ok($browser->sees('main p', 'take a token back'), 'what logging out does');
    $browser->back;
    ok($browser->sees('.pane .code', '1.0'), 'back at the file');
    $browser->click('.user button', 'Log out');
    ok($browser->sees('.state.forbidden', 'Log in'), 'logged out, the screen closes');
    ok($browser->sees('.user a', 'Log in'), '... and the page says so');
    is($browser->js('return JSON.stringify([{...sessionStorage}, {...localStorage}])'), '[{},{}]', 'nothing of the login is left');
};

subtest 'a logout ends what is open elsewhere' => sub {
    my $file = "$page/team/app:1.0/files/etc/motd";
    $browser->go("$page/_login?to=team/app:1.0/files/etc/motd");
    log_in('bob', 'second');
    ok($browser->sees('.code', '1.0'), 'a file');
    $browser->go("$page/_me");
    $browser->click('.user button', 'Log out');
    ok($browser->sees('.user a', 'Log in'), 'a logout in the page behind it');
    $browser->back;
    ok($browser->sees('.state.forbidden', 'Log in'), 'back, the file is not shown') or diag($browser->text('main'));
    ok(!$browser->find('.code'), '... nor what was there');
    $browser->go("$page/_login?to=team/app:1.0/files/etc/motd");
    $browser->click('input[name=stay]');
    log_in('bob', 'second');
    ok($browser->sees('.code', '1.0'), 'a login that stays');
    $browser->open_tab;
    $browser->go($file);
    ok($browser->sees('.user', 'bob'), '... counts in another tab, too');
    $browser->click('.user button', 'Log out');
    ok($browser->sees('.state.forbidden', 'Log in'), 'a logout there');
    $browser->to_tab(0);
    ok($browser->sees('.state.forbidden', 'Log in'), '... is one of this tab') or diag($browser->text('main'));
    is($browser->js('return JSON.stringify([{...sessionStorage}, {...localStorage}])'), '[{},{}]', 'nothing of the login is left');
};

subtest 'who may delete' => sub {
    $browser->go("$page/_login?to=team/app");
    log_in('ann', 'secret');
    ok($browser->sees('.row.tag', 'latest'), 'the tags');
    $browser->click("input[aria-label='Choose $_']") for '1.1', '2.0';
    $browser->click('.actions button', 'Delete');
    ok($browser->sees('dialog', 'The same image stays as latest'), 'a tag that shares its image is named first');
    ok($browser->sees('dialog', '1 image loses its last tag'), '... and how many are lost');
    $browser->click('dialog button', 'Cancel');
    ok($browser->sees_not('dialog'), 'cancelled');
    is_status($ann->get('/v2/team/app/manifests/1.1'), 200, '... nothing is gone');
    $browser->click('.actions button', 'Delete');
    $browser->click('dialog button.danger');
    ok($browser->sees('.notice', 'Deleted 2 tags'), 'deleted');
    ok($browser->sees_not('.row.tag', '1.1'), '... from the list');
    is_status($ann->get("/v2/team/app/manifests/$_"), 404, "... and $_ from the registry") for '1.1', '2.0';
    $browser->click('.notice button', 'Undo');
    ok($browser->sees('.row.tag', '1.1'), 'undone');
    is_status($ann->get("/v2/team/app/manifests/$_"), 200, "... $_ is there again") for '1.1', '2.0';

    my $digest = $ann->head('/v2/team/app/manifests/1.0')->header('Docker-Content-Digest');
    is_status($ann->put_manifest('team/app', '1.0', $manifest), 201, 'a tag is moved');
    $browser->go("$page/team/app:1.0/history");
    ok($browser->sees('.move', 'moved'), 'its history tells');
    ok($browser->sees('.move', 'by ann'), '... by whom');
    $browser->click('.move button', 'Put back');
    $browser->click('dialog button.danger');
    ok($browser->sees('#toast', 'The tag was put back'), 'put back');
    is($ann->head('/v2/team/app/manifests/1.0')->header('Docker-Content-Digest'), $digest, '... the image of before');
    is_status($ann->delete('/v2/team/app/manifests/1.0'), 202, 'a tag is deleted');
    $browser->go("$page/team/app:1.0/history");
    ok($browser->sees('.badge', 'deleted'), 'its history is still there');
    $browser->click('.move button', 'Put back');
    $browser->click('dialog button.danger');
    ok($browser->sees('.tabs a', 'History'), '... and it can be put back');
    is($ann->head('/v2/team/app/manifests/1.0')->header('Docker-Content-Digest'), $digest, '... as it was');

    # Somebody else is faster.
    $browser->go("$page/team/app");
    $browser->click("input[aria-label='Choose 1.0']");
    is_status($ann->put_manifest('team/app', '1.0', $manifest), 201, 'a tag moves while somebody looks at it');
    $browser->click('.actions button', 'Delete');
    $browser->click('dialog button.danger');
    ok($browser->sees('.state', 'The tag was moved in the meantime'), '... and is not deleted');
    is_status($ann->get('/v2/team/app/manifests/1.0'), 200, '... but stays');
};

subtest 'administrators' => sub {
    $browser->go("$page/_storage");
    ok($browser->sees('.card.number', 'Used by blobs'), 'the storage');
    $browser->click('.main-nav a', 'Hooks');
    ok($browser->sees('.hook h2', 'tag'), 'the hooks');
    is_deeply([ $browser->texts('.hook h2') ], ['tag'], '... that are there');
    ok(wait_for(15, sub { $browser->click('.heading button', 'Look again'); $browser->find('.hook .badge') }), '... and have run') or diag($browser->text('main'));
    is($browser->text('.hook .badge'), 'exit code 3', '... with the exit code');
    like($browser->text('.hook .output'), qr{^<b>team/app:\S+</b>\nno such host$}, '... and the output, as text');
    $browser->click('.main-nav a', 'Events');
    ok($browser->sees('.summary', 'live'), 'events');
    push_layers($ann, 'team/new', 'v7', gzip_layer(tar_of('f new file')));
    ok($browser->sees('.event.type-tag', 'team/new:v7'), '... as they happen');
    $browser->click('.event.type-tag a', 'team/new:v7');
    ok($browser->sees('h1', 'team/new:v7'), '... lead to the image');
};

subtest 'a login that ends' => sub {
    $browser->go("$page/_login");
    $browser->js('sessionStorage.setItem("refresh", "nonsense")');
    $browser->go("$page/secret/x");
    ok($browser->sees('.state.forbidden', 'Log in'), 'the page asks for a login again');
    $browser->click('.state a', 'Log in');
    $browser->click('input[name=stay]');
    log_in('ann', 'secret');
    ok($browser->sees('.row.tag', 'v1'), 'and goes on');
    isnt($browser->js('return localStorage.getItem("refresh")'), undef, '"Stay logged in" keeps the token');
    is_status($browser && Registry::Client->new(port => $registry->port)->get('/v2/'), 401, 'the registry itself is as closed as ever');
};

is_deeply([ $browser->complaints ], [], 'the console has no complaints');
finish();
